import { ExecutorConfig } from "../config/model";

/**
 * The `docker run` options that give a container the limits and rights of a job's container, so
 * that a limit that Docker refuses on a machine shows before a job meets it. None holds a space.
 */
export function dockerRunFlags(docker: ExecutorConfig): string[] {
  const options: [string, string | undefined][] = [
    ["memory", docker.memory],
    ["memory-swap", docker.memorySwap],
    ["cpus", docker.cpus],
    ["shm-size", String(docker.shmSize)],
    ...docker.capDrop.map((name): [string, string] => ["cap-drop", name]),
    ...docker.capAdd.map((name): [string, string] => ["cap-add", name]),
    ...docker.securityOpt.map((option): [string, string] => ["security-opt", option]),
    ...Object.entries(docker.ulimit)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, limit]): [string, string] => ["ulimit", `${name}=${limit}`]),
  ];
  return [
    ...(docker.privileged ? ["--privileged"] : []),
    ...options
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `--${name}=${value}`),
  ];
}
