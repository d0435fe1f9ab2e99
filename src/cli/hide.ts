/** What nobody is shown of a job: the one place where the command line hides it, in text and in JSON. */
import type { AttemptInfo, JobInfo, JobLogLine } from "../client/info.js";
import { maskText, redactPayload, secretsOf } from "../core/redact.js";

/** Hides what the job's definition names and what looks secret; and such a secret also where a handler repeated it. */
export class Hider {
  private readonly secrets: readonly string[];

  constructor({ payload, redact }: Pick<JobInfo, "payload" | "redact">) {
    this.secrets = secretsOf(payload, redact);
  }

  job(job: JobInfo): JobInfo {
    return {
      ...job,
      payload: redactPayload(job.payload, job.redact),
      uniqueKey: job.uniqueKey === null ? null : this.text(job.uniqueKey),
      progress: this.value(job.progress),
      last: job.last === null ? null : this.attempt(job.last),
    };
  }

  attempt(attempt: AttemptInfo): AttemptInfo {
    const { result, error } = attempt;
    return {
      ...attempt,
      result: this.value(result),
      error: error === null ? null : this.text(error),
    };
  }

  line(line: JobLogLine): JobLogLine {
    return { ...line, text: this.text(line.text) };
  }

  text(text: string): string {
    return maskText(text, this.secrets);
  }

  private value(value: unknown): unknown {
    return this.masked(redactPayload(value, null));
  }

  private masked(value: unknown): unknown {
    if (typeof value === "string") return this.text(value);
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return value.map((item) => this.masked(item));
    const entries = Object.entries(value).map(([key, item]) => [this.text(key), this.masked(item)]);
    return Object.fromEntries(entries) as unknown;
  }
}

export function hideJob(job: JobInfo): JobInfo {
  return new Hider(job).job(job);
}
