/** Where the schemas of events are kept, for all who read or write them. */
import { DefinitionError } from "../errors/eddy-error.js";
import type { Environment } from "./environment.js";

/** A schema registry with Confluent's API: Confluent's, Apicurio (`…/apis/ccompat/v7`), Karapace, Redpanda. */
export interface SchemaRegistryOptions {
  readonly url: string;
  /** Where it asks for a login, with `password`. */
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

/** @returns null: there is none. @throws DefinitionError CLIENT_INVALID naming the option */
export function readSchemaRegistry(
  given: SchemaRegistryOptions | undefined,
  environment: Pick<Environment, "schemaRegistry">,
): SchemaRegistryOptions | null {
  const place = given ?? environment.schemaRegistry;
  if (place === null) return null;
  const url = place.url.replace(/\/+$/, "");
  if (!/^https?:\/\/./.test(url)) throw invalid("url", `expected http(s)://…, got ${JSON.stringify(place.url)}`);
  if ((place.username === undefined) !== (place.password === undefined)) {
    throw invalid("username", "username and password belong together: give both, or none");
  }
  return { ...place, url };
}

function invalid(field: string, message: string): DefinitionError {
  const path = `schemaRegistry.${field}`;
  return new DefinitionError("CLIENT_INVALID", `${path}: ${message}`, { path });
}
