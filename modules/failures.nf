// What failed. conf/base.config writes down every task that is given up; here it is read and put into words.

def failureList(outdir) {
    return file("${outdir}/pipeline_info/failed_tasks.tsv", glob: false)
}

// A run begins with an empty list, and none of its trainings has gone on.
def forgetFailures(outdir) {
    failureList(outdir).parent.mkdirs()
    failureList(outdir).delete()
    failureList(outdir).resolveSibling('went_on.tsv').delete()
}

// The tasks that were given up in this run, as maps.
def failedTasks(outdir) {
    def list = failureList(outdir)
    if (!list.exists()) {
        return []
    }
    def tasks = list.readLines().collect { line ->
        def cells = line.split('\t', -1).toList().collect { cell -> cell == 'null' ? '' : cell }
        def task = [['outcome', 'process', 'tag', 'status', 'attempt', 'memory', 'time', 'folder'], cells].transpose().collectEntries()
        task + [step: task.process.tokenize(':').last().replace('_ALONE', ''), log: "${task.folder}/.command.log".toString(), tolerated: task.outcome == 'tolerated']
    }
    return tasks.unique { task -> task.folder }
}

// The tool's own error lines: ours at the end of what it said, else the exception that ends a traceback, else the last line.
def errorLines(List<String> said) {
    def lines = said.findAll { line -> line.trim() && !(line ==~ /wssamnet: .* \(\d+ of \d+\)/) && !line.contains('.command.') }
    def ours = lines.reverse().takeWhile { line -> line.startsWith('wssamnet: ') }.reverse()
    def raised = lines.findLastIndexOf { line -> line ==~ /[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt)\b.*/ }
    return ours ?: (raised >= 0 ? lines.drop(raised).take(4) : lines.takeRight(1))
}

// What a task said about its end; the scheduler's own words, where it has left some, come last.
def lastWords(Map task) {
    def (own, whole) = ['.command.err', '.command.log'].collect { name ->
        def log = file("${task.folder}/${name}", glob: false)
        log.exists() ? log.readLines() : []
    }
    return errorLines(own) + whole.findAll { line -> line.startsWith('slurmstepd: ') && !(line in own) }.unique()
}

def asked(amount) {
    return amount ? " (it had asked for ${amount})" : ''
}

// What an exit status means, where it is not the tool's own.
def inWords(Map task) {
    def meanings = [
        '0': 'it ended well, but did not leave all its files',
        '104': 'its connection was lost',
        '126': 'a program cannot be executed',
        '127': 'a program is not found',
        '130': 'it was interrupted (SIGINT)',
        '134': 'it aborted (SIGABRT): a fault inside a library, or no memory',
        '135': 'it was killed (SIGBUS): a disk or shared memory was full, or a file vanished',
        '137': "it was killed (SIGKILL): most often for want of memory${asked(task.memory)}, or its job was cancelled",
        '139': 'it crashed (SIGSEGV): a fault inside a library',
        '140': "it was ended by the scheduler (SIGUSR2): its time was up${asked(task.time)}",
        '143': "it was ended (SIGTERM): its job was cancelled or preempted, or its time was up${asked(task.time)}",
    ]
    def lost = "its job ended without an exit status: killed for its memory${asked(task.memory)} or its time${asked(task.time)}, cancelled, or its node was lost"
    if (!task.status || task.status == Integer.MAX_VALUE.toString()) {
        return lost
    }
    return task.status in ['1', '2'] ? '' : "exit status ${task.status}: ${meanings[task.status] ?: 'no meaning is known'}".toString()
}

def tries(Map task) {
    return task.attempt == '1' ? '' : "tried ${task.attempt} times"
}

// Everything about a failed task in one line, for a table.
def reason(Map task) {
    def said = lastWords(task).collect { line -> line.trim() - 'wssamnet: ' }.join('; ').take(300)
    def text = [said, inWords(task), tries(task)].findAll().join('; ') ?: "exit status ${task.status}, without a word"
    return task.step == 'REGISTER' ? text : "${task.step} (${task.tag}) failed: ${text}".toString()
}

// The registrations that the tables should show, as CSV, with the reason for each that failed or whose training did.
// tested: [case, fold]
def plannedRegistrations(List methods, List tested, List failed) {
    def registrations = failed.findAll { task -> task.step == 'REGISTER' }.collectEntries { task -> [(task.tag): reason(task)] }
    def trainings = failed.findAll { task -> task.step != 'REGISTER' }
    def rows = [methods, tested].combinations().collect { method, row ->
        def (id, fold) = row
        def training = trainings.find { task ->
            task.tag.tokenize(',').first() == "fold${fold}" &&
                method in (task.step == 'TRAIN_VOXELMORPH' ? ['voxelmorph'] : ['wssamnet', 'wssamnet_refined'])
        }
        [method, id, registrations["${method}, ${id}".toString()] ?: (training ? reason(training) : '')]
    }
    return ([['method', 'case', 'reason']] + rows.sort()).collect { row ->
        row.collect { cell -> '"' + cell.toString().replace('"', '""') + '"' }.join(',')
    }.join('\n')
}
