/** Where tasks and those who wait for them meet. Who came first is served first. */
import type { Cancel, Time } from "../../core/time.js";
import type { Task } from "./api.js";
import { Demand } from "./demand.js";

/** So long one whose time is up waits for databases that are being asked. */
const LATE_MS = 5_000;

/** What one fetch waits for. */
export interface Wish {
  readonly max: number;
  /** Null: as long as it takes. */
  readonly timeoutMs: number | null;
  readonly signal: AbortSignal | undefined;
}

interface Waiter {
  readonly max: number;
  readonly tasks: Task[];
  /** Its time is up, and it waits for the answers of those who are being asked. */
  late: boolean;
  resolve(tasks: Task[]): void;
  reject(error: unknown): void;
}

export class Desk {
  readonly demand: Demand;
  private waiters: readonly Waiter[] = [];
  private serving = false;

  constructor(private readonly time: Time) {
    this.demand = new Demand(() => this.serveSoon(), time);
  }

  /** Waits for tasks. */
  take({ max, timeoutMs, signal }: Wish): Promise<Task[]> {
    return new Promise((resolve, reject) => {
      let cancel: Cancel | null = null;
      const aborted = (): void => waiter.reject(signal!.reason);
      const leave = (): void => {
        cancel?.();
        signal?.removeEventListener("abort", aborted);
        this.remove(waiter);
      };
      const waiter: Waiter = {
        max,
        tasks: [],
        late: false,
        resolve: (tasks) => (leave(), resolve(tasks)),
        reject: (error) => {
          leave();
          for (const task of waiter.tasks) void task.release();
          reject(error);
        },
      };
      if (signal?.aborted === true) return reject(signal.reason);
      signal?.addEventListener("abort", aborted);
      this.waiters = [...this.waiters, waiter];
      this.demand.wanted += max;
      const timeUp = (): void => {
        // Who asks for what there is wants to know what there is: a look that is under way is waited for, though not for ever.
        waiter.late = true;
        cancel = this.time.later(() => waiter.resolve(waiter.tasks), LATE_MS);
        this.serveSoon();
      };
      if (timeoutMs !== null) cancel = this.time.later(timeUp, timeoutMs);
    });
  }

  get isEmpty(): boolean {
    return this.waiters.length === 0;
  }

  /** False when nobody waits for it (any more). */
  give(task: Task): boolean {
    const waiter = this.waiters.find(({ max, tasks }) => tasks.length < max);
    if (waiter === undefined) return false;
    waiter.tasks.push(task);
    this.demand.wanted--;
    this.demand.out++;
    this.serveSoon();
    return true;
  }

  /** It was handed out, and is over. */
  gone(): void {
    this.demand.out--;
  }

  /** Nobody is served any more. */
  close(error: unknown): void {
    for (const waiter of this.waiters) waiter.reject(error);
  }

  private remove(waiter: Waiter): void {
    if (!this.waiters.includes(waiter)) return;
    this.waiters = this.waiters.filter((other) => other !== waiter);
    this.demand.wanted -= waiter.max - waiter.tasks.length;
  }

  /** After the present turn: what was claimed together is handed out together. */
  private serveSoon(): void {
    if (this.waiters.length === 0 || this.serving) return;
    this.serving = true;
    this.time.soon(() => this.serve());
  }

  private serve(): void {
    this.serving = false;
    const { preparing, looking } = this.demand;
    for (const { max, tasks, late, resolve } of this.waiters)
      if (tasks.length === max || (tasks.length > 0 ? preparing === 0 : late && !looking))
        resolve(tasks);
  }
}
