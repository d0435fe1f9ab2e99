/** Hooks in order: which are called for a job, how they stand within one another, and how they are misused. */
import { describe, expect, test } from "vitest";
import { allInTurn, inTurn, notEntered, onion, type Maybe } from "../../src/core/chain.js";
import { checkHooks, HookSet, type Hook, type HooksOf } from "../../src/core/hooks.js";
import { refusal } from "./support/refusal.js";

type Hooks = HooksOf<object>;
type Layer = (next: () => Promise<string>) => unknown;

const named = (name: string, more: Hooks = {}): Hooks => ({
  name,
  preEnqueue: () => undefined,
  postEnqueue: () => undefined,
  ...more,
});
const names = (hooks: readonly Hook<unknown>[]): string[] => hooks.map(({ name }) => name);
const job = (kind: string, hooks: readonly Hooks[] | null = null) => ({ kind, hooks });

describe("which hooks are called", () => {
  test("none, where none was given: nothing is made for a job at all", () => {
    const set = new HookSet<object>();
    expect(set.for(job("mail"), "enqueues")).toBeNull();
    expect(set.for(job("mail"), "works")).toBeNull();
    expect(set.for(undefined, "enqueues")).toBeNull();
  });

  test("before the deed in order, the job's own last; after it in the reverse order", () => {
    const set = new HookSet<object>();
    set.add(named("a"));
    set.add(named("b"));
    const chain = set.for(job("mail", [named("own")]), "enqueues")!;
    expect(names(chain.preEnqueue)).toEqual(["a", "b", "own"]);
    expect(names(chain.postEnqueue)).toEqual(["own", "b", "a"]);
  });

  test("only those for its kind, and only where one of them is called then", () => {
    const set = new HookSet<object>();
    set.add(named("mail only", { kinds: ["mail", { kind: "post" }] }));
    expect(names(set.for(job("mail"), "enqueues")!.preEnqueue)).toEqual(["mail only"]);
    expect(names(set.for(job("post"), "enqueues")!.preEnqueue)).toEqual(["mail only"]);
    expect(set.for(job("other"), "enqueues")).toBeNull();
    expect(set.for(job("mail"), "works")).toBeNull();
  });

  test("those that are added or taken out later, from then on", () => {
    const set = new HookSet<object>();
    const [a, b] = [named("a"), named("b")];
    const mail = job("mail");
    set.add(a);
    const begun = set.for(mail, "enqueues")!;
    set.add(b);
    expect(names(begun.preEnqueue)).toEqual(["a"]);
    expect(names(set.for(mail, "enqueues")!.preEnqueue)).toEqual(["a", "b"]);
    expect(set.remove(a)).toBe(true);
    expect(set.remove(a)).toBe(false);
    expect(names(set.for(mail, "enqueues")!.preEnqueue)).toEqual(["b"]);
    expect(refusal(() => set.add(b))).toMatchObject({ code: "QUDO_HOOKS_TWICE" });
    expect(set.remove(b)).toBe(true);
    expect(set.for(mail, "enqueues")).toBeNull();
  });

  test("as methods of what they came in", () => {
    class Counting {
      #calls = 0;
      preEnqueue(): void {
        this.#calls++;
      }
      get calls(): number {
        return this.#calls;
      }
    }
    const counting = new Counting();
    const set = new HookSet<object>();
    set.add(counting);
    void set.for(job("a"), "enqueues")!.preEnqueue[0]!.call({} as never);
    expect(counting.calls).toBe(1);
  });
});

test("what is no set of hooks is refused by name", () => {
  for (const [hooks, code] of [
    [undefined, "QUDO_INVALID_OPTION"],
    [null, "QUDO_INVALID_OPTION"],
    [() => undefined, "QUDO_INVALID_OPTION"],
    [{ preEnque: () => undefined }, "QUDO_UNKNOWN_OPTION"],
    [{ preEnqueue: true }, "QUDO_INVALID_OPTION"],
    [{ kinds: "mail" }, "QUDO_INVALID_OPTION"],
    [{ kinds: [7] }, "QUDO_INVALID_NAME"],
    [{ name: "" }, "QUDO_INVALID_NAME"],
    [{ around: { works: () => undefined } }, "QUDO_UNKNOWN_OPTION"],
    [{ around: { work: 1 } }, "QUDO_INVALID_OPTION"],
  ] as const)
    expect(refusal(() => checkHooks(hooks as never, "use"))).toMatchObject({ code });
  expect(refusal(() => checkHooks({ preEnque: 1 } as never, "use")).message).toContain(
    "preEnqueue",
  );
});

const hooks = (...calls: (() => unknown)[]): Hook<() => unknown>[] =>
  calls.map((call, i) => ({ name: String(i), call }));

describe("calling in turn", () => {
  test("answers at once as long as all do, and waits for those that do not", async () => {
    const log: number[] = [];
    expect(
      inTurn(
        hooks(() => log.push(1)),
        (hook) => hook(),
      ),
    ).toBeUndefined();
    const waited = inTurn(
      hooks(
        async () => {
          await Promise.resolve();
          log.push(2);
        },
        () => log.push(3),
      ),
      (hook) => hook(),
    );
    expect(log).toEqual([1]);
    await waited;
    expect(log).toEqual([1, 2, 3]);
  });

  test("ends at the first that throws; but calls all where they only hear of it", async () => {
    const log: string[] = [];
    const broken = hooks(
      () => {
        throw new Error("a");
      },
      () => Promise.reject(new Error("b")),
      () => log.push("c"),
    );
    expect(() => inTurn(broken, (hook) => hook())).toThrow("a");
    expect(log).toEqual([]);
    await allInTurn(
      broken,
      (hook) => hook(),
      (name, error) => log.push(`${name} ${String(error)}`),
    );
    expect(log).toEqual(["0 Error: a", "1 Error: b", "c"]);
  });
});

const peel = (core: () => Maybe<string>, ...layers: Layer[]): Maybe<string> =>
  onion<Layer, string>(
    {
      point: "around.work",
      hooks: layers.map((call, i) => ({ name: String(i), call })),
      enter: ({ call }, next) => call(next),
      core,
    },
    (returned, inside, name) => {
      if (inside === undefined) throw notEntered(name, "around.work");
      return returned === undefined ? inside.get() : String(returned);
    },
  );

const broken = (): never => {
  throw new Error("core");
};

const away: Layer = async (next) => {
  await next().catch(() => undefined);
};

const twice: Layer = async (next) => {
  await next();
  await next();
};

describe("an onion", () => {
  test("is gone through from outside to its core and back", async () => {
    const log: string[] = [];
    const layer =
      (name: string): Layer =>
      async (next) => {
        log.push(`${name} in`);
        const result = await next();
        log.push(`${name} out`);
        return result;
      };
    const result = await peel(() => (log.push("core"), "done"), layer("a"), layer("b"));
    expect(result).toBe("done");
    expect(log).toEqual(["a in", "b in", "core", "b out", "a out"]);
  });

  test("answers at once where all layers do", () => {
    expect(
      peel(
        () => "core",
        (next) => void next(),
        (next) => void next(),
      ),
    ).toBe("core");
  });

  test("tells of what fails inside also where a layer did not wait, or looked away", async () => {
    expect(() => peel(broken, (next) => void next())).toThrow("core");
    await expect(peel(broken, away)).rejects.toThrow("core");
    await expect(peel(() => Promise.reject(new Error("late")), away)).rejects.toThrow("late");
  });

  test("is entered once, while it is there", async () => {
    const misused = { code: "QUDO_HOOK_MISUSED" };
    let cores = 0;
    const core = (): string => `core ${++cores}`;
    await expect(peel(core, twice)).rejects.toMatchObject(misused);
    expect(cores).toBe(1);
    let late!: () => Promise<string>;
    const later: Layer = (next) => void (late = next);
    expect(() => peel(core, later)).toThrow(/without calling next/);
    expect(() => late()).toThrow(/after it had returned/);
    expect(cores).toBe(1);
  });
});
