#pragma once
// With the features that CLinux and the C library's other GNU users see: one struct may not have two definitions in one program.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <uv.h>
