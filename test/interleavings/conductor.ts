/**
 * Two actors on one file, and who moves when. Nothing here waits for time: an actor says that it is paused, that it met a
 * lock, or that it is done.
 */
import { copyFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import type { HandleLike } from "../../src/storage/sqlite/index.js";
import { openRaw } from "./files.js";
import type { Call } from "./operations.js";

export type Answer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly code: string | null; readonly message: string };

type Message = { readonly round: number } & (
  | { readonly type: "opened" | "paused" | "busy" }
  | { readonly type: "done"; readonly answer: Answer }
);

type Order =
  | { readonly type: "open"; readonly now: number; readonly variant: string }
  | { readonly type: "run"; readonly call: Call; readonly pause: number };

type Done = Extract<Message, { type: "done" }>;

class Actor {
  private readonly gate = new Int32Array(new SharedArrayBuffer(4));
  private readonly thread: Worker;
  private inbox: Message[] = [];
  private wake: (() => void) | null = null;
  private died: Error | null = null;
  private round = 0;

  constructor(path: string) {
    this.thread = new Worker(new URL("./actor.mjs", import.meta.url), {
      workerData: { path, gate: this.gate.buffer },
    });
    this.thread.on("message", (message: Message) => {
      if (message.round === this.round) this.inbox.push(message);
      this.wake?.();
    });
    this.thread.on("error", (error) => {
      this.died = error;
      this.wake?.();
    });
  }

  async open(now: number, variant: string): Promise<void> {
    this.round++;
    this.inbox = [];
    this.send({ type: "open", now, variant });
    await this.next("opened");
  }

  /** `pause` is the number of the statement before which it stops; 0 for nowhere. */
  run(call: Call, pause: number): void {
    this.send({ type: "run", call, pause });
  }

  resume(): void {
    Atomics.store(this.gate, 0, 1);
    Atomics.notify(this.gate, 0);
  }

  async end(): Promise<void> {
    await this.thread.terminate();
  }

  /** The first message of one of these types, come or still to come. Others before it are dropped. */
  async next(...types: readonly Message["type"][]): Promise<Message> {
    for (;;) {
      const message = this.inbox.shift();
      if (message !== undefined && types.includes(message.type)) return message;
      if (message !== undefined) continue;
      if (this.died !== null) throw this.died;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  async done(): Promise<Done> {
    return (await this.next("done")) as Done;
  }

  private send(order: Order): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have none; that is for windows
    this.thread.postMessage({ ...order, round: this.round });
  }
}

export interface Interleaving {
  readonly first: Call;
  readonly second: Call;
  /** The statement of the first call before which the second one runs. */
  readonly pause: number;
  readonly now: number;
  readonly variant?: string;
}

export interface Played {
  /** False when the first call was done before it came to its pause: one after the other. */
  readonly paused: boolean;
  /** The second call had to wait for the first one's transaction. */
  readonly waited: boolean;
  readonly answers: readonly [Answer, Answer];
}

export class Conductor {
  readonly path: string;
  /** A third connection to the file, for whoever looks at what was left. */
  readonly handle: HandleLike;
  private readonly a: Actor;
  private readonly b: Actor;
  private readonly reset: string;

  /** Plays on a copy of the template, whose content is put back before each interleaving. */
  constructor(template: string) {
    this.path = `${template}-stage`;
    copyFileSync(template, this.path);
    this.handle = openRaw(this.path);
    this.handle.exec(`attach '${template}' as template`);
    this.reset = resetOf(this.handle);
    this.a = new Actor(this.path);
    this.b = new Actor(this.path);
  }

  async play(it: Interleaving): Promise<Played> {
    this.handle.exec(this.reset);
    return this.perform(it);
  }

  private async perform(it: Interleaving): Promise<Played> {
    const { a, b } = this;
    const variant = it.variant ?? "none";
    await Promise.all([a.open(it.now, variant), b.open(it.now, variant)]);
    a.run(it.first, it.pause);
    const met = await a.next("paused", "done");
    b.run(it.second, 0);
    let first = met.type === "done" ? met : null;
    let second: Done | null = null;
    let waited = false;
    if (first === null) {
      const reply = await b.next("busy", "done");
      if (reply.type === "done") second = reply;
      else waited = true;
      a.resume();
      first = await a.done();
    }
    second ??= await b.done();
    return { paused: met.type === "paused", waited, answers: [first.answer, second.answer] };
  }

  /** The same two calls for every statement of the first one, the last time one after the other. Returns how many. */
  async everywhere(
    it: Omit<Interleaving, "pause">,
    look: (played: Played, pause: number) => Promise<void> | void,
  ): Promise<number> {
    for (let pause = 1; ; pause++) {
      const played = await this.play({ ...it, pause });
      await look(played, pause);
      if (!played.paused) return pause;
    }
  }

  async end(): Promise<void> {
    await Promise.all([this.a.end(), this.b.end()]);
    this.handle.close();
  }
}

/** One transaction that puts the template's rows into every table. */
function resetOf(handle: HandleLike): string {
  const sql = "select name from template.sqlite_master where type = 'table'";
  const tables = handle.prepare(sql).all() as { name: string }[];
  const refill = tables.map(
    ({ name }) =>
      `delete from main.${name}; insert into main.${name} select * from template.${name};`,
  );
  // Unchecked: on the way a lease is without its session.
  return `pragma foreign_keys=off; begin immediate; ${refill.join(" ")} commit; pragma foreign_keys=on`;
}
