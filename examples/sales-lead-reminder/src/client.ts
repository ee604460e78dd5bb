import { Eddy } from "@eddy/sdk";

export const eddy = new Eddy({ id: "sales" });
