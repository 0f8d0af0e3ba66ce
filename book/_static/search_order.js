// What a reader reads comes before the objects of radlib's code; both are found. Declared with var: Sphinx's own script
// declares it once more where there is none.
var Scorer = {
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
  score: ([docname, , , , score]) =>
    docname.startsWith("generated/api_") ? score - 1000 : score,
};
