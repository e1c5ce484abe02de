/** A GitLab on loopback for tests, with a CA of its own, and small clients for it. */

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import os from "node:os";
import path from "node:path";
import { crc32 } from "node:zlib";

import { Agent, fetch, FormData, type RequestInit, type Response } from "undici";

import { parseConfig } from "../../../../lab/gitlab/config";
import { type GitLab, startGitLab } from "../../../../lab/gitlab/gitlab";

export const FEATURES = {
  trace_reset: true,
  trace_checksum: true,
  cancelable: true,
  cancel_gracefully: false,
  upload_multiple_artifacts: true,
  artifacts_exclude: true,
  return_exit_code: true,
  fallback_cache_keys: true,
};

export interface Answer {
  readonly status: number;
  readonly headers: Response["headers"];
  readonly text: string;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- bodies of many shapes, in tests
  readonly json: any;
}

export interface CallOptions {
  readonly token?: string;
  readonly headers?: Record<string, string>;
  readonly json?: unknown;
  readonly form?: Record<string, string>;
  readonly multipart?: FormData;
  readonly body?: string | Buffer;
}

export class Lab {
  readonly dir = mkdtempSync(path.join(os.tmpdir(), "lab-gitlab-"));
  readonly logs: string[] = [];
  readonly ca = path.join(this.dir, "ca.pem");
  gitlab!: GitLab;
  url = "";
  private config: Record<string, unknown> = {};
  private agent!: Agent;

  /** Starts a GitLab; `overrides` go into its configuration. */
  static async start(overrides: Record<string, unknown> = {}): Promise<Lab> {
    const lab = new Lab();
    makeCertificates(lab.dir);
    lab.agent = new Agent({ connect: { ca: readFileSync(lab.ca) } });
    lab.writeProject({ ".gitlab-ci.yml": "build:\n  script: [make]\n" });
    const port = await freePort();
    lab.url = `https://localhost:${port}`;
    const token = (name: string, ...scopes: string[]) => ({ file: lab.file(name), name, scopes });
    lab.config = {
      port,
      tls: { cert: lab.file("server.pem"), key: lab.file("server.key") },
      url: lab.url,
      tokens: [
        token("api", "api"),
        token("smallest", "create_runner", "manage_runner"),
        token("create_runner", "create_runner"),
        token("manage_runner", "manage_runner"),
        token("read_api", "read_api"),
        token("read_user", "read_user"),
        token("read_repository", "read_repository"),
      ],
      groups: [{ id: 3, path: "platform", name: "Platform" }],
      projects: [{ id: 7, path: "platform/my.app", dir: lab.file("project") }],
      triggers: [{ project: "platform/my.app", file: lab.file("trigger") }],
      longPollSeconds: 5,
      ...overrides,
    };
    await lab.boot();
    return lab;
  }

  private async boot(): Promise<void> {
    this.gitlab = await startGitLab(parseConfig(this.config), this.file("state"), (line) =>
      this.logs.push(line),
    );
  }

  /** Stops and starts the server, `overrides` changing its configuration. */
  async restart(overrides: Record<string, unknown> = {}): Promise<void> {
    await this.gitlab.close();
    this.config = { ...this.config, ...overrides };
    await this.boot();
  }

  async stop(): Promise<void> {
    await this.gitlab.close();
    await this.agent.close();
    rmSync(this.dir, { recursive: true, force: true });
  }

  file(name: string): string {
    return path.join(this.dir, name);
  }

  secret(name: string): string {
    return readFileSync(this.file(name), "utf8").trim();
  }

  /** Replaces the project's folder. */
  writeProject(files: Record<string, string>, name = "project"): void {
    const dir = this.file(name);
    rmSync(dir, { recursive: true, force: true });
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(dir, file)), { recursive: true });
      writeFileSync(path.join(dir, file), text);
    }
  }

  /** Any request; paths that do not begin with a slash are below `/api/v4/`. */
  async call(method: string, where: string, options: CallOptions = {}): Promise<Answer> {
    const headers: Record<string, string> = { ...options.headers };
    if (options.token !== undefined) headers["private-token"] = this.secret(options.token);
    const init: RequestInit = { method, dispatcher: this.agent, redirect: "manual" };
    if (options.json !== undefined) {
      headers["content-type"] = "application/json";
      init.body = JSON.stringify(options.json);
    } else if (options.form !== undefined) {
      init.body = new URLSearchParams(options.form);
    } else if (options.multipart !== undefined) {
      init.body = options.multipart;
    } else if (options.body !== undefined) {
      init.body = options.body;
    }
    const target = where.startsWith("/") ? where : `/api/v4/${where}`;
    const response = await fetch(this.url + target, { ...init, headers });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: isJson && text !== "" ? JSON.parse(text) : undefined,
    };
  }

  /** As `call`, with the token that may everything, failing unless it works. */
  async api(method: string, where: string, json?: unknown): Promise<Answer["json"]> {
    const answer = await this.call(method, where, {
      token: "api",
      ...(json === undefined ? {} : { json }),
    });
    if (answer.status >= 300)
      throw new Error(`${method} ${where}: ${answer.status} ${answer.text}`);
    return answer.json;
  }

  /** Makes a runner record and something that behaves like a runner. */
  async runner(attributes: Record<string, unknown> = {}): Promise<TestRunner> {
    const made = await this.api("POST", "user/runners", {
      runner_type: "project_type",
      project_id: 7,
      ...attributes,
    });
    return new TestRunner(this, made.id as number, made.token as string);
  }

  /** Starts a pipeline of a CI file. */
  async pipeline(ci: string, variables: Record<string, string> = {}): Promise<Answer["json"]> {
    this.writeProject({ ".gitlab-ci.yml": ci });
    return this.api("POST", "projects/7/pipeline", {
      ref: "main",
      variables: Object.entries(variables).map(([key, value]) => ({ key, value })),
    });
  }

  /** States of a pipeline's jobs by name. */
  async states(pipelineId: number): Promise<Record<string, string>> {
    const jobs = (await this.api(
      "GET",
      `projects/7/pipelines/${pipelineId}/jobs?per_page=100`,
    )) as {
      name: string;
      status: string;
    }[];
    return Object.fromEntries(jobs.map((job) => [job.name, job.status]).reverse());
  }
}

/** What a gitlab-runner sends, one call at a time. */
export class TestRunner {
  systemId = "s_000000000001";
  features: Record<string, boolean> = FEATURES;
  lastUpdate = "";

  constructor(
    private readonly lab: Lab,
    readonly id: number,
    public token: string,
  ) {}

  private get identity() {
    return {
      token: this.token,
      system_id: this.systemId,
      info: {
        name: "gitlab-runner",
        version: "19.3.0",
        revision: "abcdef01",
        platform: "linux",
        architecture: "amd64",
        executor: "docker",
        features: this.features,
      },
    };
  }

  verify(): Promise<Answer> {
    return this.lab.call("POST", "runners/verify", { json: this.identity });
  }

  async request(lastUpdate = ""): Promise<Answer> {
    const answer = await this.lab.call("POST", "jobs/request", {
      json: { ...this.identity, last_update: lastUpdate },
    });
    this.lastUpdate = answer.headers.get("x-gitlab-last-update") ?? "";
    return answer;
  }

  /** Asks for a job and fails when there is none. */
  async take(): Promise<TestJob> {
    const answer = await this.request();
    if (answer.status !== 201) throw new Error(`no job: ${answer.status} ${answer.text}`);
    return new TestJob(this.lab, answer.json);
  }

  unregister(): Promise<Answer> {
    const { token, system_id } = this.identity;
    return this.lab.call("DELETE", "runners/managers", { json: { token, system_id } });
  }
}

/** A job as the runner has it. */
export class TestJob {
  log = Buffer.alloc(0);

  constructor(
    private readonly lab: Lab,
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the payload, looked into by tests
    readonly payload: any,
  ) {}

  get id(): number {
    return this.payload.id as number;
  }

  get token(): string {
    return this.payload.token as string;
  }

  variable(key: string): string | undefined {
    const all = this.payload.variables as { key: string; value: string }[];
    return all.findLast((variable) => variable.key === key)?.value;
  }

  put(update: Record<string, unknown>, token = this.token): Promise<Answer> {
    return this.lab.call("PUT", `jobs/${this.id}`, { json: { token, ...update } });
  }

  async trace(text: string, start = this.log.length, token = this.token): Promise<Answer> {
    const data = Buffer.from(text);
    const answer = await this.lab.call("PATCH", `jobs/${this.id}/trace?debug_trace=false`, {
      headers: {
        "job-token": token,
        "content-type": "text/plain",
        "content-range": `${start}-${start + data.length - 1}`,
      },
      body: data,
    });
    if (answer.status === 202) this.log = Buffer.concat([this.log.subarray(0, start), data]);
    return answer;
  }

  finish(state: "success" | "failed", more: Record<string, unknown> = {}): Promise<Answer> {
    const checksum = `crc32:${crc32(this.log).toString(16).padStart(8, "0")}`;
    return this.put({ state, output: { checksum, bytesize: this.log.length }, ...more });
  }

  upload(
    content: Buffer | string,
    query = "artifact_format=zip&artifact_type=archive&expire_in=1%20week",
    token = this.token,
  ): Promise<Answer> {
    const multipart = new FormData();
    multipart.append("file", new Blob([content]), "artifacts.zip");
    return this.lab.call("POST", `jobs/${this.id}/artifacts?${query}`, {
      headers: { "job-token": token },
      multipart,
    });
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** A CA and a certificate for localhost, by openssl. */
function makeCertificates(dir: string): void {
  const openssl = (...args: string[]) =>
    execFileSync("openssl", args, { cwd: dir, stdio: ["ignore", "ignore", "pipe"] });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl(
    "req",
    "-x509",
    ...key,
    "-keyout",
    "ca.key",
    "-out",
    "ca.pem",
    "-subj",
    "/CN=test CA",
    "-days",
    "2",
    "-addext",
    "keyUsage=critical,keyCertSign",
  );
  openssl("req", ...key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost");
  writeFileSync(path.join(dir, "extensions"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
  openssl(
    "x509",
    "-req",
    "-in",
    "server.csr",
    "-CA",
    "ca.pem",
    "-CAkey",
    "ca.key",
    "-CAcreateserial",
    "-days",
    "2",
    "-extfile",
    "extensions",
    "-out",
    "server.pem",
  );
}
