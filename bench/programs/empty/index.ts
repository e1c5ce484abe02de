// As index.ts of the project, whose times are compared with this.
Error.stackTraceLimit = 0;

import * as pulumi from "@pulumi/pulumi";

export const stack = pulumi.getStack();
