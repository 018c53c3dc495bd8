/** The controller among the owners of an object: at most one, wherever in the list it stands (apimachinery, metav1.GetControllerOf). */
export const controllerOf = <Owner extends { readonly controller?: boolean }>(
  owners: readonly Owner[] = [],
): Owner | undefined => owners.find(({ controller }) => controller === true);
