from firmware.application import run
from firmware.board.hardware import Board
from firmware.power_up import power_up

board = Board()
run(board, *power_up(board))
