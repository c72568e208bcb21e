// Origin
