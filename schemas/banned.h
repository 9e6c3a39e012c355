/* Functions that no file of this project may call; included in front of every source file by the build.
 *
 * Each has a bounded or checked replacement: snprintf, memcpy with a known length, strtol with an end
 * pointer, strtok_r, localtime_r. (Idea: git's banned.h.) */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BANNED(function) this_project_does_not_use_##function

#undef strcpy
#define strcpy(a, b) BANNED(strcpy)
#undef strncpy
#define strncpy(a, b, n) BANNED(strncpy)
#undef strcat
#define strcat(a, b) BANNED(strcat)
#undef strncat
#define strncat(a, b, n) BANNED(strncat)
#undef sprintf
#define sprintf(...) BANNED(sprintf)
#undef vsprintf
#define vsprintf(...) BANNED(vsprintf)
#undef strtok
#define strtok(a, b) BANNED(strtok)
#undef atoi
#define atoi(a) BANNED(atoi)
#undef atol
#define atol(a) BANNED(atol)
#undef atof
#define atof(a) BANNED(atof)
#undef gets
#define gets(a) BANNED(gets)
#undef rand
#define rand() BANNED(rand)
#undef srand
#define srand(a) BANNED(srand)
#undef gmtime
#define gmtime(a) BANNED(gmtime)
#undef localtime
#define localtime(a) BANNED(localtime)
#undef ctime
#define ctime(a) BANNED(ctime)
#undef system
#define system(a) BANNED(system)
#undef popen
#define popen(a, b) BANNED(popen)
