/**
 * Effects, follow-up jobs and completion in one transaction of the handler's: killed with SIGKILL at each point between, twenty times
 * each, every effect is there once and every follow-up job once.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createConnection } from "mysql2/promise";
import { Client } from "pg";
import { Qudo, defineJob } from "qudo";
import { describe, expect, test } from "vitest";
import { has, mariadb, postgres } from "../servers/index.js";
import { temporaryFolder } from "./support.js";

const CHILD = fileURLToPath(new URL("fixtures/exactly-once.mjs", import.meta.url));
const ROUNDS = 20;
const POINTS = [
  "before the effect",
  "after the effect",
  "after the enqueue",
  "after completeIn",
  "COMMIT sent",
  "COMMIT answered",
];
/** Until its COMMIT was sent nothing of a transaction is there. */
const UNDONE = POINTS.slice(0, 4);

interface Place {
  readonly url: string;
  /** Beside the queue. */
  query(text: string): Promise<Record<string, unknown>[]>;
  close(): Promise<void>;
}

async function onPostgres(): Promise<Place> {
  const place = await (await postgres({ durable: false })).newDatabase();
  const client = new Client({ connectionString: place.url });
  await client.connect();
  return {
    url: place.url,
    query: async (text) => (await client.query(text)).rows as Record<string, unknown>[],
    close: async () => (await client.end(), place.drop()),
  };
}

async function onMariadb(): Promise<Place> {
  const place = await (await mariadb({ durable: false })).newDatabase();
  const connection = await createConnection({ uri: place.url });
  return {
    url: place.url,
    query: async (text) => (await connection.query(text))[0] as Record<string, unknown>[],
    close: async () => (await connection.end(), place.drop()),
  };
}

const PLACES = { postgres: onPostgres, mariadb: onMariadb };
const kinds = ["postgres", "mariadb"] as const;
const here = await Promise.all(kinds.map((kind) => has(kind)));

const effect = defineJob("effect", {
  run: (_payload: { round: number; point: string }) => undefined,
});
const followUp = defineJob("follow-up", { queue: "later", run: (_payload: unknown) => undefined });

describe.each(kinds.filter((_, i) => here[i]))("%s", (kind) => {
  test("killed at each point, each effect and each follow-up job is there exactly once", async () => {
    const place = await PLACES[kind]();
    const folder = temporaryFolder();
    const log = join(folder.path, "starts.log");
    writeFileSync(log, "");
    await place.query("create table effects (job varchar(36) not null)");
    const qudo = new Qudo({ databases: place.url });
    await qudo.migrate();
    // The first job of a kind ever holds up the others of that kind until its commit: here they stand still together.
    await qudo.jobs.cancel((await qudo.enqueue(followUp, null)).id);
    const pointOf = new Map<string, string>();
    const seen = new Map<string, number>();
    try {
      for (let round = 1; round <= ROUNDS; round++) {
        const jobs = await qudo.enqueueMany(
          POINTS.map((point) => [effect, { round, point }] as const),
        );
        jobs.forEach(({ id }, i) => pointOf.set(id, POINTS[i]!));
        const child = fork(CHILD, [kind, place.url, log, String(round)]);
        const [code, signal] = await once(child, "exit");
        expect([code, signal]).toEqual([null, "SIGKILL"]);
        // What the process that is gone has left behind, before anybody repairs it.
        for (const { job } of await place.query("select job from effects")) {
          const point = pointOf.get(String(job))!;
          if (jobs.some(({ id }) => id === job)) seen.set(point, (seen.get(point) ?? 0) + 1);
        }
      }
      const last = fork(CHILD, [kind, place.url, log]);
      for (const id of pointOf.keys())
        expect(await qudo.jobs.result(id, { timeout: "90s" })).toMatchObject({
          run: expect.any(Number),
        });
      last.send("stop");
      const [stats] = (await once(last, "message")) as [{ lost: number }];
      expect(stats.lost).toBe(0);

      const effects = (await place.query("select job from effects")).map(({ job }) => String(job));
      expect(effects.toSorted()).toEqual([...pointOf.keys()].toSorted());
      const followed: string[] = [];
      for await (const { payload } of qudo.jobs.list({ kind: "follow-up", state: "pending" }))
        followed.push((payload as { of: string }).of);
      expect(followed.toSorted()).toEqual([...pointOf.keys()].toSorted());
      const starts = readFileSync(log, "utf8").trim().split("\n");
      const startsAt = (point: string): number =>
        starts.filter((line) => pointOf.get(line.split(" ")[0]!) === point).length;
      console.log(
        [`${kind}, ${ROUNDS} kills at each point`]
          .concat(
            POINTS.map(
              (point) =>
                `${point.padEnd(18)} starts ${startsAt(point)}   committed when it was killed ${seen.get(point) ?? 0}`,
            ),
          )
          .join("\n"),
      );
      for (const point of UNDONE)
        expect([seen.get(point), startsAt(point)]).toEqual([undefined, 2 * ROUNDS]);
      expect([seen.get("COMMIT answered"), startsAt("COMMIT answered")]).toEqual([ROUNDS, ROUNDS]);
      expect(startsAt("COMMIT sent")).toBeLessThanOrEqual(2 * ROUNDS);
      expect((await qudo.doctor()).violations).toEqual([]);
    } finally {
      await qudo.close();
      await place.close();
      folder.remove();
    }
  }, 300_000);
});
