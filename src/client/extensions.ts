/** Others' code in one Qudo: its hooks, plugins and serializers, and what is done when that fails where it changes nothing. */
import { inWords, type Emit, type FailedHook } from "../core/events.js";
import { HookSet } from "../core/hooks.js";
import type { AnyPlugins, WorkJob } from "../core/job.js";
import type { Serializers } from "../core/serializer.js";
import type { Time } from "../core/time.js";
import { REAL } from "../storage/time.js";
import { Complaints } from "./complaints.js";
import type { EnqueuesWith } from "./hooked.js";
import { Orders } from "./orders.js";
import { PluginHost } from "./plugins.js";
import { Rounds } from "./rounds.js";

/** What workers are given of it. */
export interface OfWorkers {
  plugins(): AnyPlugins;
  readonly hooks: HookSet<WorkJob>;
  readonly serializers: Serializers;
  hookFailed(failed: FailedHook): void;
}

export class Extensions {
  readonly orders: Orders;
  readonly rounds: Rounds;
  readonly host: PluginHost;
  private readonly complaints: Complaints;

  constructor(
    serializers: Serializers,
    private readonly emit: Emit,
    time: Time = REAL,
  ) {
    this.rounds = new Rounds(time);
    this.complaints = new Complaints(time);
    this.orders = new Orders(serializers, new HookSet());
    this.host = new PluginHost(this.orders.hooks, this.rounds, this.complaints);
  }

  ofWorkers(): OfWorkers {
    return {
      plugins: () => this.host.plugins,
      hooks: this.orders.hooks,
      serializers: this.orders.serializers,
      hookFailed: (failed) => this.hookFailed(failed),
    };
  }

  /** What {@link HookedOrder} needs. `now`: nobody can wait. */
  enqueues(now: boolean): EnqueuesWith {
    return { orders: this.orders, now, failed: (failed) => this.hookFailed(failed) };
  }

  /** It changes nothing; but it is never silent. */
  private hookFailed(failed: FailedHook): void {
    if (this.emit.listening("hook:failed")) this.emit("hook:failed", () => failed);
    else this.complaints.say(inWords(failed), failed.error);
  }
}
