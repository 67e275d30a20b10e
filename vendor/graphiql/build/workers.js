// Monaco's workers are files of this origin. Evaluated before Monaco starts.
const files = { json: 'json.worker.js', graphql: 'graphql.worker.js' };
globalThis.MonacoEnvironment = {
  getWorker: (_id, label) =>
    new Worker(`/graphiql/${files[label] ?? 'editor.worker.js'}`, { name: label }),
};
