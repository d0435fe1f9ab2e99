/** Encryption of a connection to a server: what the option `ssl` and the parameters of addresses mean. */
import { readFileSync } from "node:fs";
import { InvalidInputError } from "../core/errors.js";
import { checkOptions } from "../core/options.js";
import type { TlsOptions } from "./database.js";
import type { PemText, TlsSettings } from "./server.js";

/** As it was asked for: files are named, and not read yet. */
export interface TlsPlan extends TlsSettings {
  readonly files?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

const KNOWN = [
  "ca",
  "cert",
  "key",
  "servername",
  "rejectUnauthorized",
] as const satisfies readonly (keyof TlsOptions)[];

/** The option `ssl`; null: not encrypted. @throws InvalidInputError that shows no value: one of them is a private key. */
export function tlsOption(ssl: unknown): TlsPlan | null {
  if (typeof ssl === "boolean") return ssl ? { verify: "host" } : null;
  if (typeof ssl !== "object" || ssl === null || Array.isArray(ssl))
    throw invalid("ssl", "true, false or an object with ca, cert, key, …");
  checkOptions(ssl, KNOWN, "ssl");
  const { ca, cert, key, servername, rejectUnauthorized = true } = ssl as Record<string, unknown>;
  if (typeof rejectUnauthorized !== "boolean")
    throw invalid("ssl.rejectUnauthorized", "true or false");
  if (servername !== undefined && (typeof servername !== "string" || servername === ""))
    throw invalid("ssl.servername", "the name in the server's certificate");
  if ((cert === undefined) !== (key === undefined))
    throw invalid("ssl", "both cert and key, or neither");
  for (const [name, pem] of Object.entries({ ca, cert, key })) checkPem(name, pem);
  return {
    verify: rejectUnauthorized ? "host" : "nothing",
    ca: ca as PemText | undefined,
    cert: cert as PemText | undefined,
    key: key as PemText | undefined,
    servername,
  };
}

function checkPem(name: string, pem: unknown): void {
  if (pem === undefined) return;
  const parts: unknown[] = Array.isArray(pem) && name === "ca" ? pem : [pem];
  for (const part of parts)
    if (!(typeof part === "string" || Buffer.isBuffer(part)) || !part.includes("-----BEGIN "))
      throw invalid(
        `ssl.${name}`,
        `PEM text, which begins with "-----BEGIN"; to read a file: readFileSync("${name}.pem")`,
      );
}

function invalid(what: string, wanted: string): InvalidInputError {
  return new InvalidInputError("QUDO_INVALID_OPTION", `${what}: give ${wanted}.`);
}

// — parameters of addresses

/** @throws InvalidInputError QUDO_INVALID_URL for a certificate without its key, and the other way round. */
export function tlsOfFiles(
  verify: TlsSettings["verify"],
  ca: string | undefined,
  own: readonly [name: string, path: string | undefined][],
): TlsPlan {
  const [cert, key] = own.map(([, path]) => path);
  if ((cert === undefined) !== (key === undefined))
    throw new InvalidInputError(
      "QUDO_INVALID_URL",
      `Of the parameters ${own.map(([name]) => name).join(" and ")} the database address has one only. Give both, or neither.`,
    );
  return { verify, files: { ca, cert, key } };
}

/** The same with what stands in its files. @throws InvalidInputError QUDO_INVALID_URL for one that cannot be read. */
export function readTls<Plan extends TlsPlan | null>(plan: Plan): TlsSettings | null {
  if (plan === null) return null;
  const { files = {}, ...settings } = plan;
  const read = Object.entries(files).filter(([, path]) => path !== undefined);
  return { ...settings, ...Object.fromEntries(read.map(([name, path]) => [name, pemOf(path)])) };
}

function pemOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new InvalidInputError(
      "QUDO_INVALID_URL",
      `The file ${path} that the database address names for its encryption cannot be read. Check the path and its rights.`,
      { cause },
    );
  }
}
