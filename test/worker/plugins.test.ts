/** Plugins in a running queue: what they add, in which order they come and go, and what their failures stop. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, expectTypeOf, test, vi } from "vitest";
import { defineJob, definePlugin, jobsWith, Qudo, type PluginsOf } from "../../src/index.js";
import { attemptsOf, closing, newDatabase, until } from "./support.js";

const databases = "sqlite::memory:";

afterEach(() => {
  vi.restoreAllMocks();
});

/** Warnings of the process, as they come. */
function warnings(): string[] {
  const said: string[] = [];
  vi.spyOn(process, "emitWarning").mockImplementation((text) => void said.push(String(text)));
  return said;
}

const counter = definePlugin({
  name: "counter",
  setup: ({ options }: { options: { from: number } }) => {
    let count = options.from;
    return {
      api: {
        get count() {
          return count;
        },
      },
      hooks: { postWork: () => void count++ },
    };
  },
});

const greeter = definePlugin({
  name: "greeter",
  setup: () => ({ api: { greet: (name: string) => `Hello, ${name}` } }),
});

describe("a plugin", () => {
  test("is reached by its name from the queue and from every job, typed, and its hooks are called", async () => {
    const seen: string[] = [];
    const define = jobsWith<unknown, PluginsOf<[typeof greeter]>>();
    const job = define("greet", {
      run: (name: string, { plugins }) => void seen.push(plugins.greeter.greet(name)),
    });
    const qudo = closing(
      new Qudo({ databases: newDatabase(), jobs: [job], use: [counter({ from: 40 }), greeter()] }),
    );
    expectTypeOf(qudo.plugins.counter.count).toEqualTypeOf<number>();
    expect(qudo.plugins.greeter.greet("you")).toBe("Hello, you");
    const jobs = await qudo.enqueueMany([
      [job, "Ada"],
      [job, "Grace"],
    ]);
    const worker = await qudo.work();
    await Promise.all(jobs.map((one) => one.result()));
    await worker.stop();
    expect(seen.toSorted()).toEqual(["Hello, Ada", "Hello, Grace"]);
    expect(qudo.plugins.counter.count).toBe(42);
  });

  test("is demanded where a job needs it", () => {
    const define = jobsWith<unknown, PluginsOf<[typeof greeter]>>();
    const job = define("greet", { run: () => undefined });
    const plain = defineJob("plain", {
      run: (_: null, { plugins }) => expectTypeOf(plugins.anything).toBeUnknown(),
    });
    const make = (): unknown[] => [
      new Qudo({ databases, jobs: [plain] }),
      new Qudo({ databases, jobs: [plain, job], use: [greeter()] }),
      // @ts-expect-error -- it is not there
      new Qudo({ databases, jobs: [job] }),
      // @ts-expect-error -- another one is
      new Qudo({ databases, jobs: [job], use: [counter({ from: 1 })] }),
      // @ts-expect-error -- it needs options
      counter(),
    ];
    expect(make).toBeTypeOf("function");
  });

  test("may come later, and go: what it added goes with it", async () => {
    const log: string[] = [];
    const late = definePlugin({
      name: "late",
      setup: ({ qudo }) => {
        expect(qudo).toBeInstanceOf(Qudo);
        return {
          api: "here",
          hooks: [{ preEnqueue: () => void log.push("hook") }],
          teardown: () => void log.push("gone"),
        };
      },
    })();
    const job = defineJob("any", { run: () => undefined });
    const qudo = closing(new Qudo({ databases, jobs: [job] }));
    const more = qudo.use(late);
    expect(more).toBe(qudo);
    expect(more.plugins.late).toBe("here");
    await qudo.enqueue(job, null);
    expect(await qudo.unuse(late)).toBe(true);
    expect(await qudo.unuse(late)).toBe(false);
    expect("late" in qudo.plugins).toBe(false);
    await qudo.enqueue(job, null);
    expect(log).toEqual(["hook", "gone"]);
  });

  test("of a name that is taken is refused, and so is one that is in use already", () => {
    const [one, two] = [greeter(), greeter()];
    const make =
      (...use: (typeof one)[]) =>
      () =>
        new Qudo({ databases, use });
    expect(make(one, two)).toThrow(expect.objectContaining({ code: "QUDO_PLUGIN_CLASH" }));
    expect(make(one, one)).toThrow(expect.objectContaining({ code: "QUDO_HOOKS_TWICE" }));
    const named = definePlugin({ name: "constructor", setup: () => ({ api: 1 }) });
    const qudo = new Qudo({ databases, use: [named()] });
    expect(qudo.plugins.constructor).toBe(1);
    expect("toString" in qudo.plugins).toBe(false);
  });

  test.each([
    ["no name", { setup: () => ({}) }],
    ["a name that cannot stand behind a dot", { name: "a-b", setup: () => ({}) }],
    ["no setup", { name: "a" }],
    ["an unknown part of its definition", { name: "a", setup: () => ({}), hooks: {} }],
    ["a command without a function", { name: "a", setup: () => ({}), commands: [{ name: "b" }] }],
  ])("with %s is refused when it is defined", (_, definition) => {
    expect(() => definePlugin(definition as never)).toThrow(
      expect.objectContaining({
        code: expect.stringMatching(/QUDO_(INVALID|UNKNOWN)_OPTION/) as string,
      }),
    );
  });

  test.each([
    ["a promise", () => Promise.resolve({})],
    ["an unknown part", () => ({ apis: 1 })],
    ["hooks that are none", () => ({ hooks: { preEnque: 1 } })],
    [
      "maintenance without a rest",
      () => ({ maintenance: { every: "10ms", run: () => undefined } }),
    ],
    ["nothing", () => undefined],
  ])("whose setup answers with %s is refused when it is used", (_, setup) => {
    const plugin = definePlugin({ name: "bad", setup: setup as never })();
    expect(() => new Qudo({ databases, use: [plugin] })).toThrow(
      expect.objectContaining({
        code: expect.stringMatching(/QUDO_(INVALID|UNKNOWN)_OPTION/) as string,
      }),
    );
  });
});

const noting = (name: string, log: string[], fails: "setup" | "teardown" | null = null) =>
  definePlugin({
    name,
    setup: () => {
      log.push(`${name} up`);
      if (fails === "setup") throw new Error(`no ${name}`);
      return {
        teardown: async () => {
          await Promise.resolve();
          log.push(`${name} down`);
          if (fails === "teardown") throw new Error(`no end of ${name}`);
        },
      };
    },
  })();

describe("in order", () => {
  test("they are set up, and torn down in the reverse one, after the workers and before the database", async () => {
    const log: string[] = [];
    let asked = -1;
    const asking = definePlugin({
      name: "asking",
      setup: ({ qudo }) => ({
        teardown: async () => {
          asked = (await attemptsOf(qudo)).length;
        },
      }),
    });
    const job = defineJob("slow", { run: () => sleep(50) });
    const use = [asking(), noting("a", log), noting("b", log)];
    const qudo = new Qudo({ databases: newDatabase(), jobs: [job], use });
    const begun = new Promise((resolve) => qudo.once("started", resolve));
    await qudo.enqueue(job, null);
    await qudo.work();
    await begun;
    await qudo.close();
    expect(log).toEqual(["a up", "b up", "b down", "a down"]);
    expect(asked).toBe(1);
  });

  test("one that cannot be torn down holds up no other, and is told", async () => {
    const log: string[] = [];
    const said = warnings();
    const use = [noting("a", log), noting("b", log, "teardown"), noting("c", log)];
    await new Qudo({ databases, use }).close();
    expect(log.slice(3)).toEqual(["c down", "b down", "a down"]);
    expect(said.join()).toContain("no end of b");
  });

  test("one that cannot be set up is thrown, and those before it are torn down", async () => {
    const log: string[] = [];
    const use = [noting("a", log), noting("b", log, "setup"), noting("c", log)];
    expect(() => new Qudo({ databases, use })).toThrow("no b");
    await until("a is down", () => log.includes("a down"));
    expect(log).toEqual(["a up", "b up", "a down"]);
  });

  test("unuse tells of a teardown that failed", async () => {
    const plugin = noting("a", [], "teardown");
    const qudo = closing(new Qudo({ databases, use: [plugin] }));
    await expect(qudo.unuse(plugin)).rejects.toThrow("no end of a");
    expect(await qudo.unuse(plugin)).toBe(false);
  });
});

describe("maintenance", () => {
  const job = defineJob("any", { run: () => undefined });

  test("goes round while there is a worker, whatever a round throws, and ends with it", async () => {
    const said = warnings();
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      let rounds = 0;
      let last!: AbortSignal;
      const sweeping = definePlugin({
        name: "sweeping",
        setup: () => ({
          maintenance: {
            every: "1m",
            run: ({ signal }) => {
              last = signal;
              rounds++;
              if (rounds === 1) throw new Error("dusty");
            },
          },
        }),
      });
      const qudo = closing(new Qudo({ databases, jobs: [job], use: [sweeping()] }));
      await vi.advanceTimersByTimeAsync(300_000);
      expect(rounds).toBe(0);
      const worker = await qudo.work();
      await vi.advanceTimersByTimeAsync(180_000);
      expect(rounds).toBe(3);
      expect(said.join()).toContain("dusty");
      const stopped = worker.stop();
      await vi.advanceTimersByTimeAsync(1_000);
      await stopped;
      expect(last.aborted).toBe(true);
      await vi.advanceTimersByTimeAsync(300_000);
      expect(rounds).toBe(3);
    } finally {
      vi.useRealTimers();
    }
  });
});
