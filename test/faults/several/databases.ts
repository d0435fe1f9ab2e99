/**
 * SQLite, PostgreSQL and MariaDB together: each process comes to each server by a proxy of its own, so that the proxies know who
 * came when. Asked what is true with plain SQL, past the proxies and past the queue.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startProxy, type Controls, type Fresh, type Proxy } from "../../servers/index.js";
import { openHandle } from "../../conformance/support/handle.js";
import { SERVERS, type Row, type ServerKind } from "./servers.js";

export type Name = "file" | "pg" | "my";
export const NAMES: readonly Name[] = ["file", "pg", "my"];

/** What one database holds: ids without their hyphens. */
export interface Held {
  readonly jobs: readonly string[];
  readonly outcomes: readonly {
    readonly job: string;
    readonly run: number;
    readonly state: number;
  }[];
}

export interface Entry {
  readonly name: Name;
  readonly url: string;
  readonly statementTimeout?: string;
}

interface Server {
  readonly kind: ServerKind;
  readonly controls: Controls & { readonly url: string };
  readonly place: Fresh;
  readonly proxies: Map<string, Proxy>;
}

/** Whether both servers are here. Where one is missing, the end of the run says so. */
export const ALL_HERE = SERVERS.every((kind) => kind.here);

const DISK_MB = 96;

export class Databases implements AsyncDisposable {
  private constructor(
    readonly folder: string,
    readonly servers: Readonly<Record<"pg" | "my", Server>>,
    /** Whether the file lies on a disk of its own, which can be filled. Else: why not. */
    readonly disk: { readonly path: string; readonly whyNot: string | null },
  ) {}

  static async open(folder: string): Promise<Databases> {
    const [pg, my] = await Promise.all(SERVERS.map(startServer));
    return new Databases(folder, { pg: pg!, my: my! }, mountDisk(join(folder, "disk")));
  }

  get file(): string {
    return join(this.disk.path, "jobs.db");
  }

  /** The list as this process is to have it. */
  async listFor(party: string, statementTimeout: string): Promise<Entry[]> {
    const entries: Entry[] = [{ name: "file", url: `sqlite:${this.file}` }];
    for (const name of ["pg", "my"] as const) {
      const { place, proxies } = this.servers[name];
      const proxy = await startProxy(place.url);
      proxies.set(party, proxy);
      entries.push({ name, url: proxy.through(place.url), statementTimeout });
    }
    return entries;
  }

  /** Of all processes, or of this one. */
  proxies(name: "pg" | "my", party?: string): Proxy[] {
    const { proxies } = this.servers[name];
    return party === undefined ? [...proxies.values()] : [proxies.get(party)!];
  }

  /** Says so where not. */
  mayFill(): boolean {
    const { whyNot } = this.disk;
    if (whyNot !== null)
      console.warn(`a disk cannot be mounted here, the fault of a full one is left out: ${whyNot}`);
    return whyNot === null;
  }

  /** Takes all the room that the disk has. */
  fill(): void {
    if (this.disk.whyNot !== null) throw new Error("It would fill the disk of this machine.");
    for (const size of [1_048_576, 65_536, 4_096])
      for (;;)
        try {
          writeFileSync(join(this.disk.path, "filler"), Buffer.alloc(size), { flag: "a" });
        } catch {
          break;
        }
  }

  clear(): void {
    rmSync(join(this.disk.path, "filler"));
  }

  async ask(name: "pg" | "my", text: string): Promise<Row[]> {
    const { kind, place } = this.servers[name];
    await using outside = await kind.outside(place.url);
    return await outside.ask(text);
  }

  async held(name: Name): Promise<Held> {
    const id = (column: string): string =>
      name === "pg" ? `replace(${column}::text, '-', '')` : `lower(hex(${column}))`;
    const jobs = `select ${id("id")} as id from qudo_job`;
    const outcomes = `select ${id("job_id")} as job, run, state from qudo_outcome`;
    const rows =
      name === "file"
        ? await this.askFile([jobs, outcomes])
        : await Promise.all([this.ask(name, jobs), this.ask(name, outcomes)]);
    return {
      jobs: rows[0]!.map((row) => String(row["id"])),
      outcomes: rows[1]!.map((row) => ({
        job: String(row["job"]),
        run: Number(row["run"]),
        state: Number(row["state"]),
      })),
    };
  }

  private async askFile(texts: readonly string[]): Promise<Row[][]> {
    const handle = await openHandle(this.file);
    try {
      return texts.map((text) => handle.prepare(text).all() as Row[]);
    } finally {
      handle.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { proxies, controls } of Object.values(this.servers)) {
      await Promise.all(Array.from(proxies.values(), (proxy) => proxy.close()));
      await controls.close();
    }
    if (this.disk.whyNot === null) execFileSync("umount", ["-l", this.disk.path]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function startServer(kind: ServerKind): Promise<Server> {
  const controls = await kind.own();
  return { kind, controls, place: await controls.newDatabase(), proxies: new Map() };
}

/** Only root may mount one. */
function mountDisk(path: string): Databases["disk"] {
  mkdirSync(path);
  if (process.platform !== "linux") return { path, whyNot: "only tried on Linux" };
  try {
    const options = ["-t", "tmpfs", "-o", `size=${DISK_MB}m`, "tmpfs", path];
    execFileSync("mount", options, { stdio: "pipe" });
    return { path, whyNot: null };
  } catch (error) {
    return { path, whyNot: String((error as { stderr?: Buffer }).stderr ?? error).trim() };
  }
}
