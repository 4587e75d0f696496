import gc

threshold = gc.threshold()
gc.threshold(4096)  # collecting often keeps the heap in one piece while modules are loaded
from firmware.board.hardware import Board
from firmware.power_up import power_up

found = power_up(board := Board())
gc.threshold(threshold)
from firmware.application import run

run(board, *found)
