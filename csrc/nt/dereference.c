/* MiDereferenceSegmentThread (NT-106): it deletes control areas that nobody uses any more (NT-67). */
#include "mi.h"

void MiDereferenceSegmentThread(struct os *os) { MiDeleteDereferencedSegments(os); }
