//! Whole models: checkpoint files of every kind, and the networks against the original PyTorch code.

mod backends;
mod checkpoints;
mod configurations;
mod generate;
mod records;
mod reference;
mod seeded;
mod stated;
mod variants;
