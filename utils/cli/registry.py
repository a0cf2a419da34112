"""Which commands there are: name -> function, in the order of the help."""

COMMANDS = {}


def command(name):
    """Decorator: a function is the command `name`, of one word or two."""

    def enter(function):
        COMMANDS[name] = function
        return function

    return enter
