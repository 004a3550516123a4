"""The commands: ./run thaw, ./run demo, ./run preset, and the pages of docs/ made from kept results."""
