/** The processes of a scenario: producers and workers, each with its own way to the databases and its own log. */
import { fork, type ChildProcess } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Entry, Name } from "./databases.js";

const PART = fileURLToPath(new URL("../fixtures/several-part.mjs", import.meta.url));

export interface PartyOptions {
  readonly role: "producer" | "worker";
  readonly databases: readonly Entry[];
  readonly retrySeconds: number;
  readonly lease: string;
}

interface Said {
  readonly ready?: true;
  readonly left?: true;
  readonly burst?: number;
  readonly landed?: true;
  readonly database?: { readonly name: Name; readonly to: string };
}

export class Party {
  readonly log: string;
  private readonly child: ChildProcess;
  private readonly said = new EventEmitter();
  /** What it has last said of each database. */
  private readonly states = new Map<Name, string>();
  private killed = false;
  /** Rejects when it ends before it was told to. */
  private readonly early: Promise<never>;

  constructor(
    readonly name: string,
    folder: string,
    readonly options: PartyOptions,
  ) {
    this.log = join(folder, `${name}.log`);
    writeFileSync(this.log, "");
    this.child = fork(PART, [JSON.stringify({ ...options, log: this.log })]);
    this.child.on("message", (said: Said) => this.heard(said));
    this.early = new Promise((_, reject) =>
      this.child.once("exit", (code, signal) => {
        if (!this.killed) reject(new Error(`${name} ended with ${code ?? signal}`));
      }),
    );
    this.early.catch(() => undefined);
  }

  private heard(said: Said): void {
    if (said.database) this.states.set(said.database.name, said.database.to);
    for (const what of Object.keys(said)) this.said.emit(what);
  }

  ready(): Promise<unknown> {
    return Promise.race([once(this.said, "ready"), this.early]);
  }

  get role(): PartyOptions["role"] {
    return this.options.role;
  }

  /** Resolves when this is what it has last said of the database. Healthy is what it was before it said anything. */
  async says(name: Name, state: string): Promise<void> {
    while ((this.states.get(name) ?? "healthy") !== state)
      await Promise.race([once(this.said, "database"), this.early]);
  }

  /** Calls per second from now on. */
  rate(perSecond: number): void {
    this.child.send({ rate: perSecond });
  }

  /** So many calls at once; resolves when all of them are settled. */
  async burst(calls: number): Promise<void> {
    const settled = once(this.said, "burst");
    this.child.send({ burst: calls });
    await Promise.race([settled, this.early]);
  }

  /** Resolves when all calls that it has made so far are settled. */
  async landed(): Promise<void> {
    const landed = once(this.said, "landed");
    this.child.send({ land: true });
    await Promise.race([landed, this.early]);
  }

  /** Ends in good order. */
  async stop(): Promise<void> {
    const left = once(this.said, "left");
    this.child.send("stop");
    await Promise.race([left, this.early]);
    await this.kill();
  }

  async kill(): Promise<void> {
    this.killed = true;
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exit = once(this.child, "exit");
    this.child.kill("SIGKILL");
    await exit;
  }
}
