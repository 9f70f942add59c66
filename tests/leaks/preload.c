// SPDX-License-Identifier: Apache-2.0
// Loaded into every program (ld.so.preload, LD_PRELOAD): appends its command line to the file EXECS, as an audit does, and
// to SYSLOG what it says to syslog.
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void add(const char *path, const char *line, size_t length)
{
    int error = errno, file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (file >= 0) {
        if (write(file, line, length) < 0)
            length = 0;
        close(file);
    }
    errno = error;
}

__attribute__((constructor)) static void note(int count, char **words)
{
    static char line[1 << 16];
    size_t length = 0;
    for (int i = 0; i < count && words[i] && length + 2 < sizeof line; i++) {
        size_t word = strnlen(words[i], sizeof line - length - 2);
        memcpy(line + length, words[i], word);
        length += word;
        line[length++] = ' ';
    }
    line[length++] = '\n';
    add(EXECS, line, length);
}

#ifdef SYSLOG
static void said(const char *format, va_list words)
{
    static char line[1 << 16];
    int length = vsnprintf(line, sizeof line - 1, format, words);
    if (length > 0) {
        length = length < (int)sizeof line - 2 ? length : (int)sizeof line - 2;
        line[length++] = '\n';
        add(SYSLOG, line, length);
    }
}

void syslog(int priority, const char *format, ...)
{
    va_list words;
    va_start(words, format);
    said(format, words);
    va_end(words);
}

void __syslog_chk(int priority, int flag, const char *format, ...)
{
    va_list words;
    va_start(words, format);
    said(format, words);
    va_end(words);
}
#endif
