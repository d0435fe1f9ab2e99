/** Rolling restarts: real children replaced one by one while work goes on. */
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { defineJob } from "../../src/index.js";
import { allReady, lives, scene, SCRIPT } from "./forked.js";
import { attemptsOf, expectSound, newPath, totals, until } from "./support.js";

const work = defineJob("work", { run: (_ms: number) => undefined });

/** The program stands in the file, so that it can be changed. */
function program(path: string, version: string): void {
  const text = readFileSync(SCRIPT, "utf8")
    .replaceAll("../../../dist/index.js", new URL("../../dist/index.js", import.meta.url).href)
    .replace('version = "v0"', `version = "${version}"`);
  writeFileSync(path, text);
}

describe("a rolling restart", () => {
  test("takes new code, child by child, with work going on and none lost", async () => {
    const script = newPath().replace(/db$/, "mjs");
    program(script, "v1");
    const { qudo, children, lines, pids } = await scene({ processes: 3, script });
    const before = pids();
    const least: number[] = [];
    const watch = setInterval(() => least.push(children.figures.ready), 5);
    const added = Array.from({ length: 200 }, () => [work, 25] as const);
    await qudo.enqueueMany(added);
    program(script, "v2");
    expect(await children.restart()).toBe(true);
    clearInterval(watch);
    await qudo.enqueueMany(added);
    await until("all are done", async () => (await totals(qudo)).done === 400, 20_000);
    expect(Math.min(...least)).toBeGreaterThanOrEqual(3);
    expect(before.filter(lives)).toEqual([]);
    expect(new Set(lines("born").map(({ version }) => version))).toEqual(new Set(["v1", "v2"]));
    const last = lines("did").slice(-100);
    expect(last.map(({ version }) => version)).not.toContain("v1");
    // Nothing ran twice, nothing was crashed or failed.
    expect(lines("started")).toHaveLength(400);
    const states = new Set((await attemptsOf(qudo)).map(({ state }) => state));
    states.delete("released");
    expect([...states]).toEqual(["done"]);
    expect(children.figures).toMatchObject({ restarts: 1, crashes: 0, ready: 3 });
    await expectSound(qudo);
  });

  test("with code that cannot work is given up, and the old children go on", async () => {
    const script = newPath().replace(/db$/, "mjs");
    program(script, "v1");
    const { qudo, children, pids, log } = await scene({ processes: 2, script });
    const before = pids();
    writeFileSync(script, "process.exit(1);");
    expect(await children.restart()).toBe(false);
    expect(pids()).toEqual(before);
    expect(children.figures).toMatchObject({ ready: 2, restarts: 0 });
    expect(log.join("\n")).toContain("the restart is given up");
    await qudo.enqueue(work, 1);
    await until("they work", async () => (await totals(qudo)).done === 1);
    // Neither is one that never is ready.
    writeFileSync(script, "setInterval(() => undefined, 1000);");
    expect(pids()).toEqual(before);
    program(script, "v2");
    expect(await children.restart()).toBe(true);
    expect(before.filter(lives)).toEqual([]);
  });

  test("whose first new child is never ready is given up after a while", async () => {
    const script = newPath().replace(/db$/, "mjs");
    program(script, "v1");
    const { children, pids } = await scene({ processes: 1, script, startTimeout: "300ms" });
    const before = pids();
    writeFileSync(script, "setInterval(() => undefined, 1000);");
    expect(await children.restart()).toBe(false);
    await until("only the old one is there", () => pids().length === 1);
    expect(pids()).toEqual(before);
  });

  test("asked for meanwhile is made once more, and no more often", async () => {
    const { children, lines } = await scene({ processes: 2 });
    const all = await Promise.all([children.restart(), children.restart(), children.restart()]);
    expect(all).toEqual([true, true, true]);
    expect(children.figures.restarts).toBe(2);
    expect(lines("born")).toHaveLength(6);
    await allReady(children);
  });

  test("and a stop at the same time leave nobody behind", async () => {
    const { children, lines, pids } = await scene({ processes: 2 });
    const restarted = children.restart();
    await until("one is new", () => lines("born").length === 3);
    await children.stop();
    expect(await restarted).toBe(false);
    expect(pids()).toEqual([]);
    expect(lines("born").filter(({ pid }) => lives(pid))).toEqual([]);
  });
});
