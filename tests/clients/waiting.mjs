// What the service does not have yet, by the name that checks use. A check that needs one of these has to fail until it is taken out.
export const waiting = [];
