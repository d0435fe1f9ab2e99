/** The job of hello-enqueue and hello-work. */
import { defineJob } from "qudo";

export const hello = defineJob("worker.test", {
  run: ({ arg }: { arg: string }, job) => console.log(`${job.kind} got ${arg}`),
});
