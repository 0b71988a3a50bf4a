namespace MultiAgent.Data;

/// <summary>The process cannot start; the message is one clear line for the operator and says what to do.</summary>
public sealed class StartupException(string message, Exception? inner = null) : Exception(message, inner);
