/** Where the queue is: QUDO_DATABASE, as the command `qudo` has it, or a file beside the program. */
export const databases = process.env["QUDO_DATABASE"] ?? "sqlite:jobs.db";
