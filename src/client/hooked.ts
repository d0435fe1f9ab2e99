/** An enqueue with hooks around it. It answers at once as long as the hooks and the database do. */
import {
  after,
  allInTurn,
  inTurn,
  isPromise,
  notEntered,
  noting,
  onion,
  type Maybe,
} from "../core/chain.js";
import { LIMITS } from "../core/defaults.js";
import { QudoError } from "../core/errors.js";
import type { FailedHook } from "../core/events.js";
import {
  chainOf,
  type Chain,
  type EnqueueDraft,
  type EnqueuedJob,
  type Hook,
  type HookPoint,
} from "../core/hooks.js";
import type { AnyJobDefinition, WorkJob } from "../core/job.js";
import { checkOptions, show } from "../core/options.js";
import type { NewJob } from "../storage/driver.js";
import { newId } from "../storage/ids.js";
import type { Enqueued } from "./enqueued.js";
import type { EnqueueOptions } from "../core/order.js";
import { checkDefinition, KNOWN, type Order, type Orders } from "./orders.js";

/** How large a payload may be that hooks may still make smaller, as JSON. */
const MOST_BEFORE_HOOKS = 64 * LIMITS.payloadBytes;

const NO_HOOKS = chainOf<WorkJob>([]);

/** Whoever enqueues with hooks. */
export interface EnqueuesWith {
  readonly orders: Orders;
  /** Nobody can wait: hooks must answer at once. */
  readonly now: boolean;
  /** Hears of hooks whose failure changes nothing. */
  failed(failed: FailedHook): void;
}

/** A job whose hooks before the deed have had their say. */
export interface Ready {
  readonly job: NewJob;
  readonly draft: EnqueueDraft;
}

/** What became of it. */
export type Made = Pick<Enqueued, "status" | "holder" | "database">;

/** Where one order's way leads through what others may have to wait for. */
export interface Way {
  insert(ready: Ready): Maybe<Enqueued>;
  /** Something about the order itself is wrong: no hook refused it. */
  refused?(error: unknown): void;
}

export class HookedOrder {
  private readonly definition: AnyJobDefinition;
  private readonly chain: Chain<WorkJob>;
  private readonly draft: Draft;

  /** @throws InvalidInputError. */
  constructor(
    private readonly by: EnqueuesWith,
    [job, payload, options]: Order<unknown>,
  ) {
    checkDefinition(job);
    checkOptions(options, KNOWN, "enqueue");
    this.definition = job;
    this.chain = by.orders.hooks.for(job, "enqueues") ?? NO_HOOKS;
    const own = this.chain === NO_HOOKS ? payload : this.copy(job, payload);
    this.draft = new Draft(job.kind, own, { ...options });
  }

  get hasAround(): boolean {
    return this.chain.aroundEnqueue.length > 0;
  }

  /** The whole way, layer by layer. */
  enqueue(way: Way): Maybe<Enqueued> {
    let enqueued: Enqueued | undefined;
    const core = (): Maybe<EnqueuedJob> =>
      after(this.ready(way), (ready) =>
        after(way.insert(ready), (made) => {
          enqueued = made;
          return this.told(ready, made);
        }),
      );
    const whole = onion<AroundEnqueue, EnqueuedJob>(
      {
        point: "around.enqueue",
        hooks: this.chain.aroundEnqueue,
        enter: (hook, next) => this.enter(hook, next),
        core,
      },
      (_, inside, hook) => {
        if (inside === undefined) throw notEntered(hook, "around.enqueue");
        return inside.get();
      },
    );
    return after(whole, () => enqueued!);
  }

  /** Hooks and checks before it is written. */
  ready(way: Pick<Way, "refused">): Maybe<Ready> {
    const { draft, chain } = this;
    return after(
      this.inTurn(chain.preEnqueue, "preEnqueue", (hook) => hook(draft)),
      () =>
        after(
          noting(() => this.prepared(), way.refused),
          (job) => after(this.serialized(job, way), (written) => ({ job: written, draft })),
        ),
    );
  }

  /** Hooks after it was written: whatever they do, it was. */
  told({ job, draft }: Ready, made: Made): Maybe<EnqueuedJob> {
    const { kind, queue } = job;
    const { status, holder, database } = made;
    const { id } = job;
    const where = database === undefined ? {} : { database };
    const told = { kind, id, queue, payload: draft.payload, status, holder, ...where };
    const failed = (hook: string, error: unknown): void =>
      this.by.failed({ hook, point: "postEnqueue", kind, id, queue, error, ...where });
    const answer = allInTurn(this.chain.postEnqueue, (hook) => hook(told), failed);
    // What cannot be waited for goes on by itself.
    return this.by.now ? told : after(answer, () => told);
  }

  private prepared(): Maybe<NewJob> {
    const { orders, now } = this.by;
    const { id, payload, options } = this.draft;
    const order: Order<unknown> = [this.definition, payload, { ...options, id }];
    const most = this.chain.serialize.length > 0 ? MOST_BEFORE_HOOKS : undefined;
    if (now) return orders.prepareNow(order, most);
    const { job, checked } = orders.prepare(order, most);
    return checked === null ? job : checked.then(() => job);
  }

  private serialized(job: NewJob, way: Pick<Way, "refused">): Maybe<NewJob> {
    const hooks = this.chain.serialize;
    if (hooks.length === 0) return job;
    const { definition } = this;
    const { serializers } = this.by.orders;
    const { id, kind, queue } = job;
    const draft = { id, kind, queue, payload: serializers.unpack(job.payload, definition) };
    return after(
      this.inTurn(hooks, "serialize", (hook) => hook(draft)),
      () =>
        noting(() => {
          const payload = serializers.pack(draft.payload, definition, definition.serializer);
          return { ...job, payload };
        }, way.refused),
    );
  }

  /** What the caller changes later changes nothing; and what hooks see is what a handler would. */
  private copy(job: AnyJobDefinition, payload: unknown): unknown {
    const { serializers } = this.by.orders;
    const packed = serializers.pack(payload, job, job.serializer, MOST_BEFORE_HOOKS);
    return serializers.unpack(packed, job);
  }

  private inTurn<Call>(
    hooks: readonly Hook<Call>[],
    point: HookPoint,
    call: (hook: Call) => unknown,
  ): Maybe<void> {
    if (!this.by.now) return inTurn(hooks, call);
    for (const { name, call: hook } of hooks) {
      const answer = call(hook);
      if (!isPromise(answer)) continue;
      answer.catch(() => undefined);
      throw cannotWait(point, name);
    }
  }

  /** Where nobody can wait, what it does after its inside is left to itself. */
  private enter(hook: Hook<AroundEnqueue>, next: () => Promise<EnqueuedJob>): unknown {
    const answer = hook.call(this.draft, next);
    if (!this.by.now || !isPromise(answer)) return answer;
    const { id, kind, options } = this.draft;
    const job = { id, kind, queue: options.queue ?? this.definition.queue };
    answer.catch((error: unknown) =>
      this.by.failed({ hook: hook.name, point: "around.enqueue", ...job, error }),
    );
    return undefined;
  }
}

type AroundEnqueue = Chain<WorkJob>["aroundEnqueue"][number]["call"];

class Draft implements EnqueueDraft {
  readonly #id: string;

  constructor(
    readonly kind: string,
    public payload: unknown,
    public options: EnqueueOptions,
  ) {
    this.#id = options.id ?? newId();
  }

  get id(): string {
    return this.options.id ?? this.#id;
  }
}

function cannotWait(point: HookPoint, hook: string): QudoError {
  return new QudoError(
    "QUDO_HOOK_MISUSED",
    `${point} of ${show(hook)} answers with a promise, for which enqueueSync cannot wait. Use enqueue.`,
  );
}
