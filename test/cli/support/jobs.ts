/** Jobs in every state, as tests of the operator's commands need them. */
import { defineJob, fixed, Qudo } from "../../../src/index.js";

const NASTY = "\u001B[31mred\u001B]0;title\u0007 \u202Egnp.exe";

const mail = defineJob("mail.send", {
  queue: "mail",
  maxAttempts: 3,
  backoff: fixed("1h"),
  run: (payload: { fails: boolean }, job) => {
    job.log("connecting");
    job.log(`the server says ${NASTY}\nand more`, "warn");
    if (payload.fails) throw new Error(`refused 报告 ${NASTY}\nsecond line`);
    return { accepted: 1 };
  },
});
const gone = defineJob("mail.gone", {
  queue: "mail",
  run: (_payload: null, job) => job.abort("there is no such mailbox"),
});

export interface Zoo {
  done: string;
  failed: string;
  abandoned: string;
  cancelled: string;
  pending: string;
  delayed: string;
}

/** One job in each state that lasts without a worker. */
export async function zoo(database: string): Promise<Zoo> {
  await using qudo = new Qudo({ databases: database, jobs: [mail, gone] });
  const add = async (fails: boolean): Promise<string> => (await qudo.enqueue(mail, { fails })).id;
  const [done, failed] = [await add(false), await add(true)];
  const abandoned = (await qudo.enqueue(gone, null)).id;
  const worker = await qudo.work({ name: "web-1" });
  while (worker.stats.done + worker.stats.failed + worker.stats.abandoned < 3)
    await new Promise((resolve) => setTimeout(resolve, 5));
  await worker.stop();
  const other = defineJob("报告.生成😀", { run: () => undefined });
  const cancelled = (await qudo.enqueue(other, 1)).id;
  await qudo.jobs.cancel(cancelled);
  const pending = (await qudo.enqueue(other, 2)).id;
  const delayed = (await qudo.enqueue(other, 3, { delay: "2h" })).id;
  return { done, failed, abandoned, cancelled, pending, delayed };
}
