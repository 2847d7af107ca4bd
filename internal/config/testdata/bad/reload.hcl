watch         = "yes"
cut_on_reload = 1
drain_timeout = "25h"
