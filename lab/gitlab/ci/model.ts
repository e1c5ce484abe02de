/** A `.gitlab-ci.yml` once it was read, merged, defaulted and checked. */

import type { JobWhen } from "../model";

export interface CiVariable {
  readonly key: string;
  readonly value: string;
  /** False (the default): references to other variables inside the value are expanded. */
  readonly raw: boolean;
}

export interface CiImage {
  readonly name: string;
  readonly entrypoint: readonly string[] | null;
  readonly pullPolicy: readonly string[];
  readonly docker: { readonly platform?: string; readonly user?: string } | null;
}

export interface CiService extends CiImage {
  readonly alias: string | null;
  readonly command: readonly string[] | null;
  readonly variables: readonly CiVariable[];
}

export interface CiArtifacts {
  readonly name: string | null;
  readonly untracked: boolean;
  readonly paths: readonly string[];
  readonly exclude: readonly string[];
  readonly when: "on_success" | "on_failure" | "always";
  /** As written, e.g. `1 week`; null: the instance's default. */
  readonly expireIn: string | null;
  readonly reports: Readonly<Record<string, readonly string[]>>;
}

export interface CiCache {
  readonly key: string;
  readonly paths: readonly string[];
  readonly untracked: boolean;
  readonly policy: string;
  readonly when: string;
  readonly fallbackKeys: readonly string[];
  readonly unprotect: boolean;
}

export interface CiRetry {
  readonly max: number;
  readonly when: readonly string[];
  readonly exitCodes: readonly number[];
}

export interface CiRule {
  readonly if: string | null;
  readonly exists: readonly string[] | null;
  readonly when: JobWhen | "never" | null;
  readonly allowFailure: boolean | null;
  readonly variables: readonly CiVariable[];
}

export interface CiNeed {
  readonly job: string;
  readonly artifacts: boolean;
  readonly optional: boolean;
}

export interface CiJob {
  readonly name: string;
  readonly stage: string;
  readonly script: readonly string[];
  readonly beforeScript: readonly string[];
  readonly afterScript: readonly string[];
  readonly image: CiImage | null;
  readonly services: readonly CiService[];
  readonly variables: readonly CiVariable[];
  /** Which of the file's global variables the job sees: all, none, or those named. */
  readonly inheritVariables: boolean | readonly string[];
  readonly tags: readonly string[];
  readonly artifacts: CiArtifacts | null;
  readonly cache: readonly CiCache[];
  readonly needs: readonly CiNeed[] | null;
  readonly dependencies: readonly string[] | null;
  readonly rules: readonly CiRule[] | null;
  readonly when: JobWhen | null;
  readonly allowFailure: boolean | null;
  readonly allowFailureExitCodes: readonly number[];
  readonly timeout: number | null;
  readonly retry: CiRetry | null;
  readonly parallel: number | null;
  readonly environment: string | null;
  readonly resourceGroup: string | null;
}

export interface CiConfig {
  readonly stages: readonly string[];
  readonly variables: readonly CiVariable[];
  readonly workflow: { readonly name: string | null; readonly rules: readonly CiRule[] | null };
  readonly jobs: readonly CiJob[];
}
