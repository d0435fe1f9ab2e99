/** The serializers of the package together with those that a queue is given. */
import type { AnyJobDefinition } from "../core/job.js";
import { InvalidInputError } from "../core/errors.js";
import { show } from "../core/options.js";
import { checkSerializer, json, Serializers, type Serializer } from "../core/serializer.js";
import { messagePackIfNeeded } from "./message-pack.js";
import { v8 } from "./v8.js";

const OWN: readonly Serializer[] = [json, v8, messagePackIfNeeded];

interface Given {
  readonly jobs?: readonly AnyJobDefinition[];
  readonly serializer?: Serializer;
  readonly serializers?: readonly Serializer[];
}

/**
 * `serializer` is for kinds that name none; `serializers` are only read.
 * @throws InvalidInputError, QUDO_SERIALIZER_CLASH among them.
 */
export function serializersOf({
  jobs = [],
  serializer: standard = json,
  serializers: others = [],
}: Given): Serializers {
  if (!Array.isArray(others))
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      `serializers takes a list of serializers, not ${show(others)}.`,
    );
  const given = (others as readonly Serializer[]).map((one) => checkSerializer(one, "serializers"));
  const ofJobs = jobs.flatMap(({ serializer }) => serializer ?? []);
  return new Serializers(OWN, checkSerializer(standard, "serializer"), [...ofJobs, ...given]);
}
