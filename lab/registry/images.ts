/** The images that jobs run in: put into the registry under the names that Docker Hub has. */

import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import path from "node:path";

import { hashFile, type ImageConfig, imageConfig, writeArchive } from "../images/archive";
import { fullName } from "../net/addresses";
import { inNamespace } from "../net/namespace";
import { PATHS } from "../paths";
import { LabError, say } from "../progress";
import { run } from "../run";

export interface JobImage {
  /** Root file system among those of lab/images/build.sh. */
  readonly root: string;
  readonly repository: string;
  readonly tags: readonly [string, ...string[]];
  readonly config: ImageConfig;
}

/** A mirror of Docker Hub answers for `library/NAME` when a job says `NAME`. */
export const JOB_IMAGES: readonly JobImage[] = [
  {
    root: "debian.tar",
    repository: "library/debian",
    tags: ["trixie-slim", "trixie"],
    config: { command: ["bash"] },
  },
  {
    root: "alpine.tar",
    repository: "library/alpine",
    tags: ["3.22", "latest"],
    config: { command: ["/bin/sh"] },
  },
];

export interface PublishOptions {
  /** How a program is run where the registry can be reached. Default: in the lab's namespace. */
  readonly network?: typeof inNamespace;
}

const INSPECT_LIMIT = 30;
/** Compressing 100 MB on a busy machine, and writing them twice. */
const PUSH_LIMIT = 300;

/**
 * Publishes the images that the registry does not have as they are here. The registry is running.
 *
 * @returns names of what was pushed
 * @throws LabError when a root file system is missing or the registry refuses
 */
export async function publishImages({ network = inNamespace }: PublishOptions = {}): Promise<
  string[]
> {
  const pushed: string[] = [];
  for (const image of JOB_IMAGES) pushed.push(...(await publish(image, new Client(network))));
  return pushed;
}

async function publish(image: JobImage, client: Client): Promise<string[]> {
  const root = path.join(PATHS.images, image.root);
  if (!existsSync(root)) throw new LabError(`${root} is not there: it has to be built first`);
  const id = createHash("sha256")
    .update(imageConfig(image.config, await hashFile(root)))
    .digest("hex");
  const [first, ...others] = image.tags.map((tag) => client.name(image.repository, tag)) as [
    string,
    ...string[],
  ];
  const pushed: string[] = [];
  if ((await client.imageId(first)) !== id) {
    say(`   publishes ${first}`);
    await withArchive(image, root, (archive) => client.push(`docker-archive:${archive}`, first));
    pushed.push(first);
  }
  for (const name of others) {
    if ((await client.imageId(name)) === id) continue;
    await client.push(`docker://${first}`, name);
    pushed.push(name);
  }
  return pushed;
}

async function withArchive(
  image: JobImage,
  root: string,
  use: (file: string) => Promise<void>,
): Promise<void> {
  const work = mkdtempSync(path.join(PATHS.images, "push-"));
  try {
    const file = path.join(work, "archive.tar");
    await writeArchive({ layer: root, config: image.config, names: [] }, file);
    await use(file);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** skopeo in the lab's network, trusting the lab's authority only. */
class Client {
  constructor(private readonly network: typeof inNamespace) {}

  name(repository: string, tag: string): string {
    return `${fullName("registry")}/${repository}:${tag}`;
  }

  /** Id of the image that a name has in the registry. */
  async imageId(name: string): Promise<string | undefined> {
    const args = ["inspect", "--raw", `docker://${name}`];
    const { status, stdout, stderr } = await this.skopeo(args, INSPECT_LIMIT, [0, 1, 2]);
    if (status === 0) return readImageId(stdout);
    if (/manifest unknown|name unknown/.test(stderr)) return undefined;
    throw new LabError(`the registry does not answer for ${name}: ${stderr.trim()}`);
  }

  async push(from: string, to: string): Promise<void> {
    await this.skopeo(["copy", "--quiet", from, `docker://${to}`], PUSH_LIMIT);
  }

  private skopeo(args: readonly string[], limit: number, accept?: readonly number[]) {
    const [program, all] = this.network("skopeo", ["--insecure-policy", ...args]);
    const env = {
      ...process.env,
      SSL_CERT_FILE: PATHS.caCertificate,
      SSL_CERT_DIR: "/nonexistent",
    };
    return run(program, all, { limit, env, accept });
  }
}

/** Id of the image of a manifest, without its algorithm. */
export function readImageId(manifest: string): string | undefined {
  const { config } = JSON.parse(manifest) as { config?: { digest?: string } };
  return config?.digest?.replace(/^sha256:/, "");
}
