/** qudo: a brokerless, persistent job queue. The public surface. */
export { definePlugin, Qudo } from "./qudo.js";
export type { NeedsContext, NeedsPlugins, QudoOptions } from "./qudo-options.js";
export {
  defineJob,
  jobsWith,
  type AnyPlugins,
  type ContextOf,
  type DefineJob,
  type Handler,
  type Hooks,
  type JobContext,
  type JobDefinition,
  type JobOptions,
  type PluginsNeededBy,
  type WorkJob,
} from "./core/job.js";
export type {
  Around,
  EnqueueDraft,
  EnqueuedJob,
  HookPoint,
  HooksOf,
  Next,
  PayloadDraft,
  WorkOutcome,
} from "./core/hooks.js";
export type {
  CommandRun,
  DefinePlugin,
  MakePlugin,
  Plugin,
  PluginCommand,
  PluginMaintenance,
  PluginOptions,
  PluginParts,
  PluginSetup,
  PluginsOf,
  Usable,
} from "./core/plugins.js";
export { json, type SerializedJob, type Serializer } from "./core/serializer.js";
export { messagePack } from "./serializers/message-pack.js";
export { v8 } from "./serializers/v8.js";
export {
  exponential,
  fixed,
  linearThenExponential,
  type Backoff,
  type ExponentialOptions,
  type FailedJob,
  type LinearThenExponentialOptions,
  type PlainBackoff,
} from "./core/backoff.js";
export type { Isolation } from "./core/isolation.js";
export { snooze, type Snooze } from "./core/snooze.js";
export type { Duration } from "./core/duration.js";
export type { StandardSchema } from "./core/schema.js";
export type {
  KeyLimits,
  KindLimits,
  LimitSpec,
  QueueLimits,
  Rate,
  RateSpec,
} from "./core/limits/spec.js";
export type { Keep, KeepPolicy } from "./core/keep.js";
export type { JobState, LogLevel, Reason, RunState } from "./core/states.js";
export type { EventName, FailedHook, QudoEvents } from "./core/events.js";
export { idFromName } from "./core/ids.js";
export {
  ChildFailedError,
  DatabaseError,
  EnqueueOutcomeUnknownError,
  EnqueuePartlyError,
  ERROR_CODES,
  IncompleteError,
  InvalidInputError,
  JobError,
  JobFailedError,
  QudoError,
  SessionLostError,
  type DatabaseErrorOptions,
  type ErrorCode,
  type Unasked,
} from "./core/errors.js";
export type { Enqueued } from "./client/enqueued.js";
export type { Order } from "./client/orders.js";
export type { EnqueueOptions } from "./core/order.js";
export type { Listener } from "./client/emitter.js";
export type { DatabaseReport, DoctorReport } from "./client/doctor.js";
export type { RenameOptions } from "./client/naming.js";
export type { Transaction } from "./client/transaction.js";
export type { ResultOptions } from "./client/results.js";
export type {
  AttemptFilter,
  AttemptListOptions,
  AttemptPageOptions,
  AttemptsPage,
} from "./client/attempts.js";
export type { Change, ChangesOptions, FollowOptions } from "./client/changes.js";
export type { Explanation } from "./client/explain.js";
export { WHY_CODES, type Why, type WhyCode } from "./core/explain.js";
export type { DatabaseFigures, Figures } from "./client/figures.js";
export type {
  ExceptionInfo,
  JobCount,
  JobStatusInfo,
  LoggedRun,
  LogOptionsOfRuns,
} from "./client/logs.js";
export type { OverdueOptions, RunningInfo, WaitingInfo } from "./client/overdue.js";
export type { BulkOptions, BulkOutcome, Refusal } from "./client/bulk.js";
export type { JobFilter } from "./client/filter.js";
export type { AttemptInfo, JobInfo, JobLogLine } from "./client/info.js";
export type { DatabaseInfo } from "./client/databases.js";
export type {
  CountFilter,
  CountOptions,
  DatabaseCounts,
  DatabaseFilter,
  Throughput,
} from "./client/monitor.js";
export type { JobsPage, LogOptions, PageOptions, RescheduleOptions } from "./client/jobs.js";
export type { Purged, PurgeOptions } from "./client/purge.js";
export type { FailedRun, FromFailed } from "./client/revive.js";
export type { WorkerEnd } from "./client/crews.js";
export type {
  BackupReport,
  CompactReport,
  PauseOptions,
  Pruned,
  PruneOptions,
} from "./client/upkeep.js";
export type { OnDie } from "./worker/dying.js";
export type { WorkOnceOptions } from "./worker/once.js";
export type { Logger, WorkerOptions } from "./worker/options.js";
export { prefork, type Prefork } from "./worker/prefork/index.js";
export type { PreforkOptions } from "./worker/prefork/options.js";
export type { ChildInfo, PreforkFigures } from "./worker/prefork/parent.js";
export type { RunningWorker as Worker, StopOptions } from "./worker/running.js";
export type { WorkerStats } from "./worker/stats.js";
export type {
  Added,
  EachOptions,
  FetchOptions,
  MessageOptions,
  Task,
  TaskQueue,
  TaskQueueOptions,
  TaskState,
} from "./worker/tasks/api.js";
export type {
  Database,
  DatabaseOptions,
  Databases,
  ListedDatabase,
  Listing,
  MysqlDatabase,
  Placement,
  PostgresDatabase,
  ServerDatabase,
  SqliteDatabase,
  TlsOptions,
} from "./storage/database.js";
export type {
  CancelOutcome,
  DatabaseMode,
  DatabaseStatus,
  Identity,
  LaneCounts,
  LimitRow,
  LimitScope,
  RescheduleOutcome,
  RetryOutcome,
  SessionRow,
  TallyEvent,
  Violation,
} from "./storage/driver.js";
export { VERSION } from "./core/version.js";
