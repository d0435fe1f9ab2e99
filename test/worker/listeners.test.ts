/** Events: who is told what and when, and that no listener can disturb the queue. */
import { channel, subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, describe, expect, test } from "vitest";
import { Emitter } from "../../src/client/emitter.js";
import { EVENT_NAMES, type EventName, type QudoEvents } from "../../src/core/events.js";
import { defineJob, Qudo, snooze } from "../../src/index.js";
import { newQudo, refused, silent, until, watchedHandle, closing } from "./support.js";

const enqueued: QudoEvents["enqueued"] = { id: "i", kind: "k", queue: "q", status: "inserted" };
const make = (): QudoEvents["enqueued"] => enqueued;

const boom = (): never => {
  throw new Error("it was made");
};

const warnings: Error[] = [];
const keepWarning = (warning: Error): void => {
  if (warning.name === "QudoWarning") warnings.push(warning);
};
process.on("warning", keepWarning);
afterEach(() => void warnings.splice(0));

describe("listeners", () => {
  test("hear what they asked for, in order, until they are taken back", () => {
    const emitter = new Emitter();
    const heard: string[] = [];
    const first = (): unknown => heard.push("first");
    const second = ({ id }: QudoEvents["enqueued"]): unknown => heard.push(`second ${id}`);
    emitter.on("enqueued", first);
    emitter.on("enqueued", second);
    emitter.on("done", () => heard.push("done"));
    emitter.emit("enqueued", make);
    emitter.off("enqueued", first);
    emitter.emit("enqueued", make);
    emitter.off("enqueued", second);
    emitter.off("enqueued", second);
    emitter.emit("enqueued", make);
    expect(heard).toEqual(["first", "second i", "second i"]);
  });

  test("once is once, also when it emits again itself; the same function may listen twice", () => {
    const emitter = new Emitter();
    let n = 0;
    const listener = (): void => {
      n++;
      emitter.emit("enqueued", make);
    };
    emitter.on("enqueued", listener, true);
    emitter.emit("enqueued", make);
    emitter.emit("enqueued", make);
    expect(n).toBe(1);
    const twice = (): unknown => n++;
    emitter.on("enqueued", twice);
    emitter.on("enqueued", twice);
    emitter.emit("enqueued", make);
    expect(n).toBe(3);
    emitter.off("enqueued", twice);
    emitter.emit("enqueued", make);
    expect(n).toBe(4);
    const never = (): unknown => n++;
    emitter.on("done", never, true);
    emitter.off("done", never);
    expect(emitter.emit.listening("done")).toBe(false);
  });

  test("one that throws, or whose promise rejects, is a warning, and the others hear all the same", async () => {
    const emitter = new Emitter();
    const heard: string[] = [];
    emitter.on("enqueued", () => {
      throw new Error("first is broken");
    });
    emitter.on("enqueued", () => Promise.reject(new Error("second is broken")));
    emitter.on("enqueued", () => {
      // oxlint-disable-next-line typescript/only-throw-error -- what cannot even be shown
      throw Object.create(null);
    });
    emitter.on("enqueued", () => heard.push("last"));
    emitter.emit("enqueued", make);
    emitter.emit("enqueued", make);
    expect(heard).toEqual(["last", "last"]);
    // Each is told of once in a while, not at every event.
    await until("all have been told of", () => warnings.length === 3);
    const told = warnings.map(({ message }) => message).join("\n");
    expect(told).toContain('A listener of "enqueued" failed: Error: first is broken');
    expect(told).toContain("second is broken");
    expect(told).toContain("cannot be shown");
  });

  test("nothing is made while nobody listens", () => {
    const emitter = new Emitter();
    for (const name of EVENT_NAMES) {
      expect(emitter.emit.listening(name)).toBe(false);
      emitter.emit(name, boom);
    }
  });

  test("names that do not exist and listeners that are none are refused", () => {
    const qudo = closing(new Qudo({ databases: "sqlite::memory:" }));
    for (const name of ["finished", "constructor", "toString", undefined])
      for (const call of [qudo.on, qudo.once, qudo.off])
        expect(() => call.call(qudo, name as EventName, () => undefined)).toThrow(
          /There is no event .*enqueued, started, done/,
        );
    expect(() => qudo.on("done", "x" as never)).toThrow(/is a function/);
  });

  test("the channel of an event hears it from every Qudo of the process", () => {
    const [one, two] = [new Emitter(), new Emitter()];
    const heard: unknown[] = [];
    const listener = (message: unknown): unknown => heard.push(message);
    subscribe("qudo:enqueued", listener);
    try {
      expect(one.emit.listening("enqueued")).toBe(true);
      one.emit("enqueued", make);
      two.emit("enqueued", make);
      expect(heard).toEqual([enqueued, enqueued]);
    } finally {
      unsubscribe("qudo:enqueued", listener);
    }
    one.emit("enqueued", make);
    expect(heard).toHaveLength(2);
    expect(EVENT_NAMES.map((name) => channel(`qudo:${name}`).hasSubscribers)).toEqual(
      EVENT_NAMES.map(() => false),
    );
  });
});

describe("a Qudo", () => {
  test("tells of every enqueue after its commit, and of none that failed", async () => {
    const watch = watchedHandle();
    const qudo = closing(new Qudo({ databases: { handle: watch.handle } }));
    const note = defineJob("note", { queue: "mail", run: (_payload: unknown) => undefined });
    await qudo.migrate();
    const heard: QudoEvents["enqueued"][] = [];
    qudo.on("enqueued", (event) => {
      expect(watch.commits).toBeGreaterThan(commits);
      heard.push(event);
    });
    let commits = watch.commits;
    const first = await qudo.enqueue(note, 1, { uniqueKey: "k" });
    commits = watch.commits;
    const [second, third] = await qudo.enqueueMany([
      [note, 2, { uniqueKey: "k" }],
      [note, 3, { id: first.id }],
    ]);
    watch.failNext = Object.assign(new Error("disk full"), { errcode: 13 });
    await refused(qudo.enqueue(note, 4));
    const mail = { kind: "note", queue: "mail" };
    expect(heard).toEqual([
      { ...mail, id: first.id, status: "inserted" },
      { ...mail, id: second!.id, status: "unique" },
      { ...mail, id: third!.id, status: "duplicate" },
    ]);
  });

  test("tells what its workers do with jobs, and listeners that throw stop nothing", async () => {
    const job = defineJob("all", {
      backoff: () => 1,
      run: (what: string, { abort, run }) => {
        if (what === "abort") abort("no");
        if (what === "snooze" && run === 1) return snooze(0);
        if (what === "fail" && run === 1) throw new Error("once");
        return undefined;
      },
    });
    const qudo = newQudo([job]);
    const heard: string[] = [];
    for (const name of EVENT_NAMES)
      qudo.on(name, (event) => {
        heard.push("kind" in event ? `${name} ${event.kind}` : name);
        throw new Error("a listener");
      });
    const worker = await qudo.work({ signals: false, logger: silent() });
    await until("it has started", () => heard.length > 0);
    for (const what of ["abort", "snooze", "fail"]) {
      const { id } = await qudo.enqueue(job, what);
      await qudo.jobs.result(id, { timeout: "10s" }).catch(() => undefined);
    }
    await worker.stop();
    expect(heard).toEqual([
      "worker:started",
      ...["enqueued", "started", "abandoned"].map((name) => `${name} all`),
      ...["enqueued", "started", "snoozed", "started", "done"].map((name) => `${name} all`),
      ...["enqueued", "started", "failed", "started", "done"].map((name) => `${name} all`),
      "worker:stopped",
    ]);
  });
});
