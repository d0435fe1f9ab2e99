/** Rows Q22 and T16 of docs/parity.md: the example programs of the older systems, as processes, on every database. */
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { hello } from "../../examples/small/hello.js";
import { Program } from "./programs.js";
import { all, newQudo, onEachDatabase, until } from "./support.js";

onEachDatabase((place) => {
  test("Q22 a launcher keeps workers: so many at once, followed after so many jobs or a crash; TERM and HUP are handled", async () => {
    const address = place.newAddress();
    const qudo = newQudo(address);
    await qudo.migrate();
    await using launcher = new Program("prefork", ["2", "3"], address);
    const pids = async (): Promise<number[]> =>
      (await qudo.monitor.workers()).map(({ pid }) => pid).toSorted();
    await until("two work", async () => (await pids()).length === 2);
    const first = await pids();
    // Each leaves after three jobs, and is followed by another one.
    await qudo.enqueueMany(
      Array.from({ length: 12 }, (_, n) => [hello, { arg: `n${n}` }] as const),
    );
    await launcher.said(/^worker\.test got n\d+$/, 12);
    await until("those that have done three have left, and others work", async () => {
      const runs = await all(qudo.attempts.list({ limit: 100 }));
      const done = new Set(runs.map(({ worker }) => worker));
      const now = await qudo.monitor.workers();
      return runs.length === 12 && now.length === 2 && now.every(({ id }) => !done.has(id));
    });
    expect((await pids()).filter((pid) => first.includes(pid))).toEqual([]);
    // One that crashes is followed, too.
    const [victim, other] = await pids();
    process.kill(victim!, "SIGKILL");
    await until("it is replaced", async () => {
      const now = await pids();
      return now.length === 2 && !now.includes(victim!) && now.includes(other!);
    });
    const before = await pids();
    launcher.signal("SIGHUP");
    await until("all are replaced", async () => {
      const now = await pids();
      return now.length === 2 && now.every((pid) => !before.includes(pid));
    });
    launcher.signal("SIGTERM");
    expect([0, "SIGTERM"]).toContain(await launcher.ended);
    expect(await qudo.monitor.workers()).toEqual([]);
    const runs = await all(qudo.attempts.list());
    expect(runs.filter(({ state }) => state === "done")).toHaveLength(12);
  });

  test("T16 programs: both synopses, ping-pong, log tail, producer and worker", async () => {
    const address = place.newAddress();
    const qudo = newQudo(address);
    await qudo.migrate();
    await using tail = new Program("log-tail", [], address);
    await tail.said("following");

    await run("hello-enqueue", [], [/^enqueued [0-9a-f-]{36}$/]);
    await run("hello-enqueue", [], ["such a job is waiting already"]);
    await using worker = new Program("hello-work", [], address);
    await worker.said("worker.test got arg");
    worker.signal("SIGTERM");
    expect([0, "SIGTERM"]).toContain(await worker.ended);

    await run("ping-pong", ["3"], ["ping 3", "pong 2", "ping 1", "pong 0"]);
    await using ping = new Program("ping-pong", ["ping", "2"], address);
    await run("ping-pong", ["pong"], ["pong 1"]);
    expect(await ping.ended).toBe(0);
    expect(ping.lines).toEqual(["ping 2", "ping 0"]);

    await run("producer", ["5"], ["added 5 numbers"]);
    await run(
      "worker",
      ["1s"],
      [1, 2, 3, 4, 5].map((n) => `${n} squared is ${n * n}`),
    );
    await tail.said(/done worker\.test/);
    await tail.said(/done message/, 5);
    await tail.said(/done pong/, 3);
    tail.signal("SIGINT");
    expect(await tail.ended).toBe(0);

    await download();
    expect((await qudo.doctor()).violations).toEqual([]);

    async function run(name: string, args: string[], says: (string | RegExp)[]): Promise<void> {
      await using program = new Program(name, args, address);
      expect(await program.ended).toBe(0);
      expect(program.lines).toEqual(
        says.map((what) => (typeof what === "string" ? what : expect.stringMatching(what))),
      );
    }

    /** From a server that fails at first: the consumer says so and leaves it to be tried again. */
    async function download(): Promise<void> {
      const folder = mkdtempSync(join(tmpdir(), "qudo-download-"));
      let asked = 0;
      const server = createServer((_, answer) =>
        answer.writeHead(++asked === 1 ? 503 : 200).end("a page"),
      );
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      try {
        const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
        const target = join(folder, "page.html");
        await run("download-producer", [url, target, "1s"], [/^Submitted task [0-9a-f-]{36}$/]);
        await run("download-producer", [url, target, "1s"], [/^Submitted task /]);
        await using consumer = new Program("download-consumer", ["5s"], address);
        expect(await consumer.ended).toBe(0);
        expect(consumer.lines).toEqual([
          "try 1: Error: 503: failed, will retry",
          "1 done, 1 to be tried again",
        ]);
        expect(readFileSync(target, "utf8")).toBe("a page");
        const done = await qudo.jobStatusList({ kinds: ["download"], limit: 5 });
        expect(done.map(({ status }) => status).toSorted()).toEqual(["completed", "failed"]);
      } finally {
        server.close();
        rmSync(folder, { recursive: true });
      }
    }
  });
});
