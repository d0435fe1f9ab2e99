/** The proxy does what it says, told by the server and by a client that knows nothing of us. */
import { createConnection } from "mysql2/promise";
import { Client } from "pg";
import { afterEach, describe, expect, it } from "vitest";
import { has, mariadb, postgres, startProxy, type Cut, type Proxy } from "./index.js";

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

/** One connection, as both libraries have it. */
interface Session {
  run(text: string): Promise<unknown[]>;
}

async function toPostgres(url: string): Promise<Session> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 1_000 });
  client.on("error", () => undefined);
  await client.connect();
  closing.push(async () => void client.end().catch(() => undefined));
  return { run: async (text) => (await client.query(text)).rows };
}

async function toMariadb(url: string): Promise<Session> {
  const client = await createConnection({ uri: url, connectTimeout: 1_000 });
  client.on("error", () => undefined);
  closing.push(async () => client.destroy());
  return { run: async (text) => (await client.query(text))[0] as unknown[] };
}

const KINDS = [
  {
    name: "PostgreSQL",
    here: await has("postgres"),
    fresh: async () => (await postgres({ durable: false })).newDatabase(),
    to: toPostgres,
  },
  {
    name: "MariaDB",
    here: await has("mariadb"),
    fresh: async () => (await mariadb({ durable: false })).newDatabase(),
    to: toMariadb,
  },
];

async function commit(session: Session, n: number): Promise<void> {
  await session.run("begin");
  await session.run(`insert into kept values (${n})`);
  await session.run("commit");
}

describe.each(KINDS.filter((kind) => kind.here))("before $name", ({ fresh, to }) => {
  interface Place {
    readonly proxy: Proxy;
    /** Not by way of the proxy. */
    readonly beside: Session;
    through(): Promise<Session>;
    /** The numbers in its table, and only those that were committed. */
    kept(): Promise<number[]>;
  }

  async function open(): Promise<Place> {
    const place = await fresh();
    closing.push(place.drop);
    const proxy = await startProxy(place.url);
    closing.push(() => proxy.close());
    const beside = await to(place.url);
    await beside.run("create table kept (n int primary key)");
    const kept = async (): Promise<number[]> =>
      ((await beside.run("select n from kept order by n")) as { n: number }[]).map(({ n }) => n);
    return { proxy, beside, through: () => to(proxy.through(place.url)), kept };
  }

  it("passes everything while it is fair, and knows who came", async () => {
    const { proxy, through, kept } = await open();
    const [one, other] = [await through(), await through()];
    await commit(one, 1);
    await commit(other, 2);
    expect(await kept()).toEqual([1, 2]);
    expect([proxy.arrivals.length, proxy.open, proxy.cuts]).toEqual([2, 2, 0]);
  });

  it.each<[Cut, number[]]>([
    ["before", [1, 3]],
    ["answered", [1, 2, 3]],
  ])(
    "cuts a connection %s: the client hears of nothing, and the server has what it has",
    async (cut, there) => {
      const { proxy, through, kept } = await open();
      const session = await through();
      await commit(session, 1);
      proxy.onCommit = () => cut;
      await expect(commit(session, 2)).rejects.toThrow();
      expect(proxy.cuts).toBe(1);
      proxy.onCommit = null;
      await commit(await through(), 3);
      expect(await kept()).toEqual(there);
    },
  );

  it("cuts right behind a COMMIT: the client cannot know, and the server has it or has not", async () => {
    const { proxy, through, kept } = await open();
    for (let n = 1; n <= 20; n++) {
      const session = await through();
      proxy.onCommit = () => "sent";
      await expect(commit(session, n)).rejects.toThrow();
      proxy.onCommit = null;
    }
    expect(proxy.cuts).toBe(20);
    const there = await kept();
    expect(there.length).toBeLessThanOrEqual(20);
    expect(new Set(there).size).toBe(there.length);
  });

  it("is silent: nothing passes, nobody gets in, and what was on its way arrives late", async () => {
    const { proxy, through, kept } = await open();
    const session = await through();
    await commit(session, 1);
    await session.run("begin");
    await session.run("insert into kept values (2)");
    proxy.weather = "silent";
    const late = session.run("commit");
    await expect(through()).rejects.toThrow();
    expect(await kept()).toEqual([1]);
    proxy.weather = "fair";
    await late;
    expect(await kept()).toEqual([1, 2]);
  });

  it("refuses whoever comes, resets who is there, and lets them in again", async () => {
    const { proxy, through, kept } = await open();
    const session = await through();
    proxy.weather = "refusing";
    await expect(commit(session, 1)).rejects.toThrow();
    await expect(through()).rejects.toThrow(/ECONNREFUSED/);
    proxy.weather = "fair";
    await commit(await through(), 2);
    expect(await kept()).toEqual([2]);
  });

  it("is slow in both directions", async () => {
    const { proxy, through } = await open();
    const session = await through();
    proxy.delayMs = 100;
    const began = performance.now();
    await session.run("select 1");
    expect(performance.now() - began).toBeGreaterThanOrEqual(199);
  });
});
