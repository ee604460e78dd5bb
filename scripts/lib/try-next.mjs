// What `npm start` prints once all is up: lines to paste, in the order of the README's story.

/**
 * @param {{ baseUrl: string, reviewUrl: string }} options
 * @returns {string}
 */
export function tryNext({ baseUrl, reviewUrl }) {
  /** @param {unknown} body */
  const send = (body) =>
    `curl -sw '\\n' ${baseUrl}/e/dev -H 'content-type: application/json' -d '${JSON.stringify(body)}'`;
  // A wait that is not registered yet would count from after the skip.
  const skip = (/** @type {string} */ by) =>
    `sleep 1; curl -sw '\\n' ${baseUrl}/dev/clock/advance -H 'content-type: application/json' -d '{"by":"${by}"}'`;
  /** @param {string} cart */
  const added = (cart) => ({
    name: "cart/product.added",
    data: { cart_id: cart },
    user: { email: "ada@example.com" },
  });
  /** @param {string} userId */
  const signedUp = (userId) => ({
    name: "user/signed.up",
    data: { userId },
    user: { email: `${userId}@example.com` },
  });
  /** @param {string} leadId */
  const lead = (leadId) => ({ name: "crm/lead.created", data: { leadId, owner: "sam" } });
  const burst = JSON.stringify(added("cart-3"));
  const json = "-H 'content-type: application/json'";
  return `
Try this in another terminal. What the apps do is printed here.

  # A cart is left alone. Skip 24 hours: one reminder.
  ${send(added("cart-1"))}
  ${skip("24h")}

  # A cart is bought: no reminder.
  ${send(added("cart-2"))}
  ${send({ name: "cart/purchased", data: { cart_id: "cart-2" } })}
  ${skip("24h")}

  # 20 products in one request: one reminder.
  one='${burst}'
  curl -sw '\\n' ${baseUrl}/e/dev ${json} -d "[$(printf "%.0s$one," $(seq 19))$one]"
  ${skip("24h")}

  # A draft waits for a person: approve or reject it at ${reviewUrl}/review/post-1, or let 48 hours pass.
  ${send({ name: "content/generation.requested", data: { contentId: "post-1", prompt: "rivers" } })}
  ${skip("48h")}

  # Two sign up, one gets through. Skip 3 days: a nudge for the other.
  ${send([signedUp("ada"), signedUp("grace")])}
  ${send({ name: "user/onboarding.completed", data: { userId: "grace" } })}
  ${skip("3d")}

  # Two leads come in, somebody talks to one. Skip a week: a reminder to the owner of the other.
  ${send([lead("l1"), lead("l2")])}
  ${send({ name: "sales/outreach.logged", data: { lead: { id: "l2" } } })}
  ${skip("1w")}

  # What became of an event: put in an id that a send answered.
  curl -sw '\\n' ${baseUrl}/v1/events/<id>/runs

Ctrl-C stops everything; the data stays, and runs go on at the next start.
`;
}
