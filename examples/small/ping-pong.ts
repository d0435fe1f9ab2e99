/**
 * Two queues that send each other a ball: `node ping-pong.js`, or `node ping-pong.js ping` and `node ping-pong.js pong` in two
 * terminals. A number says how often the ball crosses the net.
 */
import { defineJob, Qudo, type JobContext, type JobDefinition } from "qudo";
import { databases } from "./database.js";

interface Ball {
  readonly crossings: number;
}

const ping: JobDefinition<Ball> = defineJob("ping", {
  queue: "ping",
  run: (ball: Ball, job) => hit(ball, job, pong),
});
const pong: JobDefinition<Ball> = defineJob("pong", {
  queue: "pong",
  run: (ball: Ball, job) => hit(ball, job, ping),
});

async function hit(
  { crossings }: Ball,
  job: JobContext,
  other: JobDefinition<Ball>,
): Promise<void> {
  console.log(`${job.kind} ${crossings}`);
  if (crossings > 0) await qudo.enqueue(other, { crossings: crossings - 1 });
  // The last to hit it, and the last but one, play no more.
  if (crossings <= 1) job.quit();
}

const words = process.argv.slice(2);
const role = words.find((word) => word === "ping" || word === "pong");
const crossings = Math.max(1, Number(words.find((word) => /^\d+$/.test(word)) ?? 5));

await using qudo = new Qudo({ databases, jobs: [ping, pong] });
if (role !== "pong") await qudo.enqueue(ping, { crossings });
const players = [ping, pong].filter(({ kind }) => role === undefined || kind === role);
const workers = await Promise.all(players.map((player) => qudo.work({ kinds: [player] })));
await Promise.all(workers.map(({ stopped }) => stopped));
