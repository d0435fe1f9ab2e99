/** A task that is completed in a transaction of its owner's: effects and end together, or not at all. */
import { describe, expect, test } from "vitest";
import { defineJob, Qudo } from "../../src/index.js";
import {
  attemptsOf,
  closing,
  expectSound,
  newPath,
  openHandle,
  refused,
  silent,
} from "./support.js";

const effect = defineJob("effect", { queue: "effects", maxAttempts: 1, run: () => undefined });

async function fetched() {
  const path = newPath();
  const qudo = closing(new Qudo({ databases: `sqlite:${path}` }));
  const { id } = await qudo.enqueue(effect, 1);
  const handle = openHandle(path);
  handle.exec("pragma busy_timeout=2000; create table effect (n integer)");
  const [task] = await qudo.queue("effects", { logger: silent() }).fetch();
  await task!.start();
  handle.exec("begin immediate");
  handle.exec("insert into effect values (1)");
  const effects = (): number =>
    (handle.prepare("select count(*) n from effect").all() as { n: number }[])[0]!.n;
  return { qudo, id, handle, task: task!, effects };
}

describe("completeIn", () => {
  test("committed: finish says so, and the result is the one that was given there", async () => {
    const { qudo, id, handle, task, effects } = await fetched();
    void task.completeIn(handle, "there");
    handle.exec("commit");
    expect(await task.finish("here")).toBe(true);
    expect([task.state, effects()]).toEqual(["done", 1]);
    expect((await attemptsOf(qudo, id)).map(({ result }) => result)).toEqual(["there"]);
    handle.close();
    await expectSound(qudo);
  });

  test("rolled back: finish says so, and the run has failed", async () => {
    const { qudo, id, handle, task, effects } = await fetched();
    void task.completeIn(handle);
    handle.exec("rollback");
    expect(await task.finish()).toBe(false);
    expect([task.state, effects()]).toEqual(["abandoned", 0]);
    expect((await qudo.jobs.get(id))!.last!.error).toContain("QUDO_COMPLETE_ROLLED_BACK");
    handle.close();
    await expectSound(qudo);
  });

  test("of one that was cancelled is refused, and its signal tells", async () => {
    const { qudo, id, handle, task } = await fetched();
    handle.exec("rollback");
    await qudo.jobs.cancel(id);
    handle.exec("begin immediate");
    expect((await refused((async () => task.completeIn(handle))())).code).toBe("QUDO_RUN_LOST");
    handle.exec("rollback");
    expect(task.signal.aborted).toBe(true);
    expect(await task.finish()).toBe(false);
    expect(task.state).toBe("lost");
    handle.close();
  });
});
