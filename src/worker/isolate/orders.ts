/** Jobs that a handler in a host asks for in the place of its own: checked by its worker, whose Qudo knows their definitions. */
import { InvalidInputError } from "../../core/errors.js";
import type { Order, Registry } from "../../core/job.js";
import { show } from "../../core/options.js";
import { unpackThrown, type FromHost, type PlainOrder, type ToHost } from "./wire.js";

export type Answer = Extract<ToHost, { answer: number }>;

interface Waiting {
  resolve(ids: readonly string[]): void;
  reject(error: unknown): void;
}

export class HostedOrders {
  private readonly waiting = new Map<number, Waiting>();
  private readonly checks: Promise<unknown>[] = [];
  private last = 0;
  private refusal: unknown = null;

  constructor(private readonly tell: (message: FromHost) => void) {}

  ask(orders: readonly Order<unknown>[]): Promise<readonly string[]> {
    const checked = this.checked(orders);
    // Whoever does not wait for it learns of it at the end of the handler: a refusal fails the run.
    this.checks.push(checked.catch((error: unknown) => void (this.refusal ??= error)));
    return checked;
  }

  /** When all have been. @throws what the first that was refused was refused with: the run is not done. */
  async allChecked(): Promise<void> {
    await Promise.all(this.checks);
    if (this.refusal !== null) throw this.refusal;
  }

  private async checked(orders: readonly Order<unknown>[]): Promise<readonly string[]> {
    const plain = plainOrders(orders);
    const ask = ++this.last;
    const answer = new Promise<readonly string[]>((resolve, reject) => {
      this.waiting.set(ask, { resolve, reject });
    });
    this.tell({ replace: plain, ask });
    return answer;
  }

  answered(message: Answer): void {
    const waiting = this.waiting.get(message.answer);
    this.waiting.delete(message.answer);
    if ("ids" in message) waiting?.resolve(message.ids);
    else waiting?.reject(unpackThrown(message.refused));
  }

  /** As for handlers elsewhere: `done` cannot wait. */
  assertChecked(): void {
    if (this.refusal !== null) throw this.refusal;
    if (this.waiting.size > 0)
      throw new InvalidInputError(
        "QUDO_INVALID_OPTION",
        "job.done() was called while job.replace() was being checked. Await it first.",
      );
  }
}

/** @throws InvalidInputError for what cannot cross. */
function plainOrders(orders: readonly Order<unknown>[]): PlainOrder[] {
  if (!Array.isArray(orders)) throw notOrders(orders);
  return (orders as readonly Order<unknown>[]).map((order) => {
    if (!Array.isArray(order) || typeof order[0]?.kind !== "string") throw notOrders(order);
    const [{ kind }, payload, options] = order;
    try {
      return structuredClone([kind, payload, options]) as unknown as PlainOrder;
    } catch (cause) {
      throw new InvalidInputError(
        "QUDO_INVALID_PAYLOAD",
        `The payload of "${kind}" cannot leave the handler's thread or process; see the cause.`,
        { cause },
      );
    }
  });
}

function notOrders(value: unknown): InvalidInputError {
  return new InvalidInputError(
    "QUDO_INVALID_OPTION",
    `job.replace takes a list of [job, payload, options], not ${show(value)}.`,
  );
}

/** With the definitions that are known here. @throws InvalidInputError for a kind of which there is none. */
export function ordersOf(plain: readonly PlainOrder[], jobs: Registry): Order<unknown>[] {
  return plain.map(([kind, payload, options]) => {
    const job = jobs.get(kind);
    if (job !== undefined) return [job, payload, options];
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      `job.replace: "${kind}" is none of the jobs of the worker's Qudo, which a handler that runs apart from it needs. Add it there.`,
    );
  });
}
