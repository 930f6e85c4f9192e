/* The entry of the Redis image, as people know it from the official one: without arguments, or when the first is an
   option or a configuration, they are for redis-server; else they are a command. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int count, char **arguments) {
    const char *first = count > 1 ? arguments[1] : "-";
    size_t length = strlen(first);
    int server = first[0] == '-' || (length > 5 && strcmp(first + length - 5, ".conf") == 0);
    char **command = arguments + 1;
    if (server) {
        command = arguments;
        command[0] = "redis-server";
    }
    execvp(command[0], command);
    perror(command[0]);
    return EXIT_FAILURE;
}
