/** Whether a database answers promptly: for one that does not, nobody keeps a place free. */
import type { Time } from "../core/time.js";
import { PROMPT_MS } from "./places.js";

export class Promptness {
  /** When the question was asked that is not answered yet. */
  private asked: number | null = null;
  private answeredPromptly = true;

  constructor(private readonly time: Time) {}

  begin(): void {
    this.asked = this.time.now();
  }

  /** `failed`: what was answered was of no use. */
  end(failed: boolean): void {
    this.answeredPromptly = !failed && this.waitedMs <= PROMPT_MS;
    this.asked = null;
  }

  get prompt(): boolean {
    return this.answeredPromptly && this.waitedMs <= PROMPT_MS;
  }

  private get waitedMs(): number {
    return this.asked === null ? 0 : this.time.now() - this.asked;
  }
}
