import type { StackConfig } from "../config/model";

/**
 * Why this stack must not be deployed from where the program runs, or undefined when it may.
 *
 * A deployment that is a job of one of the stack's own runners would wait for itself: the host
 * drains until its jobs have ended, and the deployment is one of them.
 *
 * @param env the job's environment, of which `CI_RUNNER_DESCRIPTION` and `CI_RUNNER_TAGS` are read
 */
export function selfDeployment(
  stack: StackConfig,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const description = env.CI_RUNNER_DESCRIPTION ?? "";
  if (!description.startsWith(`${stack.project}/${stack.stack}/`)) {
    return undefined;
  }
  return (
    `This deployment runs on "${description}", a runner of the stack that it would change: its host ` +
    "would wait for this job to end before it goes on. Run it on a runner outside the stack " +
    "(give the deploy job tags that no profile of this stack has)."
  );
}
