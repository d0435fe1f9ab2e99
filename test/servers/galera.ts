/** A Galera cluster of MariaDB nodes on this machine: each takes writes, and what one commits all have certified. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { installedMariadb, program, type Installed } from "./installed.js";
import { freePort, keep, type Controls, type Plan } from "./kept.js";
import {
  makeData,
  mysqlAt,
  planOf,
  rootUrl,
  type MariadbOptions,
  type MysqlServer,
} from "./mariadb.js";
import { MissingServer } from "./missing.js";

const PROVIDERS = ["/usr/lib/galera", "/usr/lib64/galera-4", "/usr/lib64/galera"].map(
  (folder) => `${folder}/libgalera_smm.so`,
);

export interface Galera extends AsyncDisposable {
  /**
   * A killed or stopped one comes back with `start`, which resolves when it has everything the others have. That needs one of the
   * others to be up: a cluster of which all are down is not started again.
   */
  readonly nodes: readonly (MysqlServer & Controls)[];
  /** Ends them all and deletes their data. */
  close(): Promise<void>;
}

/** On 127.0.0.1 and ports of their own; new nodes copy their data with rsync, one after the other: about 4 s for each. */
export async function startGalera(
  options: MariadbOptions & { readonly nodes?: number } = {},
): Promise<Galera> {
  const installed = await installedMariadb();
  if (!installed || !(await galeraIsInstalled())) throw new MissingServer("galera");
  const group: number[] = [];
  for (let node = 0; node < (options.nodes ?? 3); node++) group.push(await freePort());
  const password = randomBytes(12).toString("hex");
  const nodes: (MysqlServer & Controls)[] = [];
  const close = async () => void (await Promise.all(nodes.map((node) => node.close())));
  try {
    for (const own of group)
      nodes.push(await startNode(installed, { own, group, password, options }));
  } catch (error) {
    await close();
    throw error;
  }
  return { nodes, close, [Symbol.asyncDispose]: close };
}

/** The programs that its way of copying data calls, too. */
export async function galeraIsInstalled(): Promise<boolean> {
  const copies = program("rsync") && (program("lsof") ?? program("ss"));
  return Boolean((await installedMariadb()) && provider() && copies);
}

function provider(): string | undefined {
  return PROVIDERS.find((path) => existsSync(path));
}

interface Node {
  /** Where the nodes talk to each other, its own port and everybody's. */
  readonly own: number;
  readonly group: readonly number[];
  readonly password: string;
  readonly options: MariadbOptions;
}

async function startNode(installed: Installed, node: Node): Promise<MysqlServer & Controls> {
  const kept = await keep("galera");
  const first = node.own === node.group[0];
  // The others get theirs from it.
  if (first) await makeData(kept, node.password);
  else await kept.run({ file: "mkdir", args: ["data"] });
  const [changes, copies] = [await freePort(), await freePort()];
  const { port, controls } = await kept.serve((port, again) => {
    const settings = { ...cluster(node, changes, copies), ...node.options.settings };
    const plan = planOf(installed, kept, port, { ...node.options, settings });
    return asNode(plan, first && !again);
  });
  return { ...mysqlAt("mariadb", rootUrl(port, node.password), installed.version), ...controls };
}

function cluster(
  { own, group }: Node,
  changes: number,
  copies: number,
): Record<string, string | number> {
  const provided = {
    base_host: "127.0.0.1",
    base_port: own,
    "gmcast.listen_addr": `tcp://127.0.0.1:${own}`,
    "ist.recv_addr": `127.0.0.1:${changes}`,
    "gcache.size": "32M",
  };
  return {
    "wsrep-on": "ON",
    "wsrep-provider": provider()!,
    "wsrep-provider-options": Object.entries(provided)
      .map((pair) => pair.join("="))
      .join(";"),
    "wsrep-cluster-address": `gcomm://${group.map((port) => `127.0.0.1:${port}`).join(",")}`,
    "wsrep-node-address": "127.0.0.1",
    "wsrep-node-name": `node-${own}`,
    "wsrep-sst-method": "rsync",
    "wsrep-sst-receive-address": `127.0.0.1:${copies}`,
    "binlog-format": "ROW",
    "innodb-autoinc-lock-mode": 2,
  };
}

function asNode({ command, ready, stopSignal }: Plan, founds: boolean): Plan {
  return {
    command: founds ? { ...command, args: [...command.args, "--wsrep-new-cluster"] } : command,
    ready: [...ready, "WSREP: Synchronized with group"],
    stopSignal,
    withinMs: 120_000,
  };
}
