/** The task of download-producer and download-consumer: a page of the web into a file. */
import { writeFile } from "node:fs/promises";
import { defineJob } from "qudo";

export interface Download {
  readonly url: string;
  readonly target: string;
}

export const download = defineJob("download", {
  queue: "http.fetch",
  run: async (payload: Download, job) => {
    const response = await fetch(payload.url, { signal: job.signal });
    if (!response.ok) throw new Error(`${response.status}: failed, will retry`);
    await writeFile(payload.target, new Uint8Array(await response.arrayBuffer()));
    return { status: "OK", ...payload };
  },
});
