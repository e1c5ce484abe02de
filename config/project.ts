/** Name of the Pulumi project, as in Pulumi.yaml: the prefix of every configuration key. */
export const PROJECT = "gitlab-runners";
