#!/usr/bin/env nextflow
// A cohort goes in, the paper's table comes out:
// check -> preprocess -> train (segmentation, pretraining, registration, VoxelMorph) -> register -> evaluate -> report

include { SIMULATE } from './modules/simulate'
include { CHECK_COHORT } from './modules/check_cohort'
include { CHECK_METHODS } from './modules/check_methods'
include { PREPROCESS } from './modules/preprocess'
include { LEARN } from './modules/learn'
include { REGISTER ; REGISTER as REGISTER_ALONE } from './modules/register'
include { EXTERNAL } from './modules/external'
include { EVALUATE } from './modules/evaluate'
include { TABULATE } from './modules/tabulate'
include { REPORT } from './modules/report'
include { readSchema ; helpText ; checkedParameters ; imageProblem ; refuse ; settingsFor ; listedParameters ; quoted } from './modules/parameters'
include { chosenMethods ; questions } from './modules/methods'
include { plannedRuns ; comparedRuns ; isLearned } from './modules/variants'
include { packageDigest ; cohortFingerprint ; cohortMounts } from './modules/digests'
include { forgetFailures ; failedTasks ; plannedRegistrations } from './modules/failures'
include { writeRecords ; sayDone ; sayFailed } from './modules/messages'

// Every absolute path in a case.
def filesOf(content) {
    if (content instanceof Map) {
        return filesOf(content.values())
    }
    if (content instanceof Collection) {
        return content.collectMany { part -> filesOf(part) }
    }
    return content instanceof String && content.startsWith('/') ? [file(content, glob: false)] : []
}

// Names the same output alike in every run: the last two folders.
def place(path) {
    return "${path.parent.name}/${path.name}".toString()
}

// The code behind one method; another method's file does not concern it.
def registrarDigest(method, known) {
    def files = known.collectEntries { name -> [(name): name in ['refinement', 'wssamnet_refined'] ? 'refined' : name] }
    def others = (files.values().toList() + 'own').unique() - (files[method] ?: 'own')
    return packageDigest(projectDir, ['cli/register_cases.py'], ['cli/__init__.py'] + others.collect { name -> "registration/${name}.py".toString() })
}

// Cases in batches, each with an id to read: [[id, ids], cases].
def batches(List cases, int size) {
    return cases.sort { one -> one.id }.collate(size).collect { batch ->
        def more = batch.size() > 1 ? " and ${batch.size() - 1} more" : ''
        [[id: "${batch[0].id}${more}".toString(), ids: batch.collect { one -> one.id }], batch]
    }
}

workflow STUDY {
    take:
    source // tuple: cohort quoted for bash, fingerprint, folders to mount
    values // every parameter in its own type
    chosen // methods: ours, external, own
    schema

    main:
    def code = ['check', 'preprocess', 'train_segmentation', 'pretrain', 'train_registration', 'train_voxelmorph', 'external', 'evaluate', 'tables', 'report']
        .collectEntries { verb -> [(verb): packageDigest(projectDir, ["cli/${verb}.py".toString()], ['cli/__init__.py'])] }
    def runs = plannedRuns(values, chosen, schema)
    def compared = comparedRuns(runs, values, chosen)
    // That of the study itself is the first, and the only one where all methods are other tools'.
    def preparations = runs.collect { run -> run.setup.words.preprocess }.unique() ?: [settingsFor('preprocess', values, schema)]
    def known = schema.methods['x-items']
    def split = [runs.any { run -> isLearned(run.registrar) } ? null : '--no-training',
        values.test_cases ? "--test-cases ${quoted(values.test_cases)}" : null,
        values.folds ? "--folds ${values.folds}" : null,
        values.test_ratio && !values.test_cases && !values.folds ? "--test-ratio ${values.test_ratio}" : null].findAll().join(' ')
    def layout = ["--landmark-coordinates ${values.landmark_coordinates}", values.sessions ? "--sessions ${quoted(values.sessions)}" : null]
        .findAll().join(' ')

    CHECK_COHORT(source, "${layout} ${split} ${settingsFor('check', values, schema)}".toString(), code.check)
    // The classic parser: the other one's maps fill themselves at the first look, and several operators look at once.
    cases = CHECK_COHORT.out.cases.flatten().map { path -> new groovy.json.JsonSlurperClassic().parse(path.toFile()) }
    roles = CHECK_COHORT.out.splits.splitCsv(header: true).map { row -> tuple(row.case, row.fold as int, row.role) }

    // Where there is something to ask about the methods, no case goes on before the answer.
    case_by_id = cases.toList().map { all -> all.collectEntries { one -> [(one.id): one] } }
    asked = questions(chosen, schema)
    if (asked) {
        judged = roles.filter { row -> row[2] == 'test' }.map { row -> row[0] }.unique().toSortedList().combine(case_by_id)
            .map { row -> row.dropRight(1).collect { id -> row.last()[id] } }
            .map { tested -> tuple(tested.collect { one -> groovy.json.JsonOutput.toJson(one) }, filesOf(tested).unique()) }
        def registrars = (known + 'own').collect { name -> "registration/${name}.py".toString() } + 'registration/refined.py'
        CHECK_METHODS(channel.of(asked), judged, packageDigest(projectDir, ['cli/check_methods.py'], ['cli/__init__.py'] + registrars - 'registration/own.py'))
        results = CHECK_METHODS.out.external
        accepted = cases.combine(results).map { one, _results -> one }
    }
    else {
        results = channel.empty()
        accepted = cases
    }

    // Cases are prepared once for all runs whose settings of the preparation are the same.
    // The lesion is known to the evaluation alone.
    to_prepare = accepted.map { one -> one.findAll { part -> part.key != 'lesion' } }
        .toList().flatMap { all -> batches(all, values.cases_per_task) }
        .combine(channel.fromList(preparations))
        .map { meta, batch, options -> tuple(meta, batch.collect { one -> groovy.json.JsonOutput.toJson(one) }, filesOf(batch).unique(), options) }
    PREPROCESS(to_prepare, code.preprocess)
    prepared = PREPROCESS.out.prepared.flatMap { options, folders ->
        (folders instanceof Collection ? folders : [folders]).collect { folder -> tuple(folder.name, options, folder) }
    }

    training = roles.filter { row -> row[2] == 'train' }
        .combine(prepared, by: 0)
        .map { _id, fold, _role, options, folder -> tuple(fold, options, folder) }
        .groupTuple(by: [0, 1])
        .map { fold, options, folders -> tuple(fold, options, folders.sort { folder -> folder.name }) }
    LEARN(training, runs, code)

    // [fold, run, model]; fold 0 stands for all folds at once, where nothing is learned
    models = LEARN.out.models.mix(channel.fromList(runs.findAll { run -> !isLearned(run.registrar) }).map { run -> tuple(0, run, []) })
    tests = roles.filter { row -> row[2] == 'test' }
        .flatMap { row -> [0, row[1]].unique().collect { fold -> tuple(row[0], fold) } }
        .unique()
        .combine(prepared, by: 0)
        .map { id, fold, options, folder -> tuple([fold, options], [id: id, folder: folder]) }
        .groupTuple()
    to_register = tests.combine(models.map { fold, run, model -> tuple([fold, run.setup.words.preprocess], run, model) }, by: 0)
        .flatMap { key, cases_of_fold, run, model ->
            batches(cases_of_fold, values.cases_per_task).collect { meta, batch ->
                tuple(meta + [method: run.method, registrar: run.registrar, fold: key[0]], batch.collect { one -> one.folder }, model)
            }
        }
    // Once a method, not once a task: a digest reads many files.
    def digests = runs.collectEntries { run -> [(run.registrar): registrarDigest(run.registrar, known)] }
    registering = to_register.map { meta, folders, model ->
        def preset = meta.registrar == 'ants' ? "--ants-preset ${chosen.ants[meta.method]} " : ''
        def name = meta.method == meta.registrar ? '' : "--name ${meta.method} "
        def own = chosen.own[meta.registrar]
        def options = own ? "--registrar ${quoted("own/${own.where}")}" : preset + name + settingsFor("register_${meta.registrar}".toString(), values, schema)
        tuple(meta, folders, model, own ? own.file : [], options.toString(), digests[meta.registrar])
    }
    REGISTER(registering)
    // What a batch has left out, or has lost with its task, each by itself: the others are kept, and the fault has one name.
    alone = registering.join(REGISTER.out.registrations, remainder: true)
        .filter { row -> row[0].ids.size() > 1 }
        .flatMap { meta, folders, model, own, options, digest, registrations ->
            def done = (registrations ?: []).collect { folder -> folder.name }
            folders.findAll { folder -> !(folder.name in done) }
                .collect { folder -> tuple(meta + [id: folder.name, ids: [folder.name]], [folder], model, own, options, digest) }
        }
    REGISTER_ALONE(alone)

    // Other tools' results: the cases that they have
    to_take = results.splitCsv(header: true)
        .map { row -> tuple(row.case, row.method, file(row.file, glob: false)) }
        .groupTuple(by: [0, 1])
        .combine(prepared.filter { _id, options, _folder -> options == preparations[0] }, by: 0)
        .map { id, method, files, _options, folder -> tuple(method, [id: id, folder: folder, files: files.sort()]) }
        .groupTuple()
        .flatMap { method, all -> batches(all, values.cases_per_task).collect { meta, batch ->
            tuple(meta + [method: method, fold: 0], batch.collect { one -> one.folder }, batch.collectMany { one -> one.files })
        } }
    EXTERNAL(to_take.map { meta, folders, files -> tuple(meta, folders, files, quoted(chosen.external[meta.method])) }, code.external)

    // Evaluation sees the registrations, the prepared images and the cases' landmarks and lesions, not the method.
    to_evaluate = REGISTER.out.registrations.mix(REGISTER_ALONE.out.registrations, EXTERNAL.out.registrations)
        .filter { _meta, registrations -> registrations }
        .join(registering.mix(alone, to_take).map { row -> row.take(2) })
        .combine(case_by_id)
        .map { meta, registrations, folders, all ->
            def batch = meta.ids.collect { id -> all[id] }
            def named = batch.collectMany { one -> filesOf([one.fixed?.landmarks, one.moving?.landmarks, one.lesion]) }
            tuple(meta, registrations, folders, batch.collect { one -> groovy.json.JsonOutput.toJson(one) }, named)
        }
    EVALUATE(to_evaluate, code.evaluate)

    // Without any evaluation a stopped run ends here; where all failures were tolerated, the tables say why there is none.
    evaluations = EVALUATE.out.evaluations.flatten().toSortedList { a, b -> place(a) <=> place(b) }
        .filter { all -> all || failedTasks(values.outdir)*.tolerated.unique() == [true] }
    tested = roles.filter { row -> row[2] == 'test' }.map { row -> row.take(2) }.unique().toList()
    planned = evaluations.map { _all -> 'evaluated' }.combine(tested.map { all -> [all] })
        .map { _evaluated, all -> plannedRegistrations(chosen.names, all, failedTasks(values.outdir)) }
    TABULATE(evaluations, planned, compared, "--error ${values.error}".toString(), code.tables)
    // The report shows the methods; of their variants, the table.
    shown = evaluations.map { all -> all.findAll { path -> path.parent.name in chosen.names } }
    trained = LEARN.out.folders.filter { meta, _model -> !meta.setup }
        .map { meta, model -> [meta.fold, model] }
        .toSortedList { a, b -> place(a[1]) <=> place(b[1]) }
        .multiMap { rows ->
            models: rows.collect { _fold, model -> model }
            folds: rows.collect { fold, _model -> fold }
        }
    REPORT(TABULATE.out.tables, shown, trained.models, trained.folds, "--title ${quoted(values.report_title)} ${listedParameters(values, schema)}".toString(), code.report)
}

workflow {
    main:
    def schema = readSchema(projectDir.resolve('nextflow_schema.json'))
    def wf = workflow
    if (params.help) {
        println(helpText(schema))
    }
    else {
        def given = checkedParameters(params, schema, wf.commandLine)
        def image = imageProblem(given.container, wf.containerEngine)
        if (image) {
            refuse(image, given.outdir)
        }
        def chosen = chosenMethods(given, schema)
        def quarter = !given.test_cases && !given.folds && given.test_ratio == null && chosen.ours.any { name -> isLearned(name) }
        def values = given + (quarter ? [test_ratio: 0.25] : [:])
        if (values.input) {
            def input = file(values.input, glob: false)
            if (!input.exists()) {
                refuse("--input: ${values.input} does not exist (a folder as BraTSReg or BIDS lays it out, or a samplesheet CSV)", values.outdir)
            }
            def place = input.isDirectory() ? input.toRealPath() : input.toAbsolutePath()
            source = channel.of(tuple(quoted(place), cohortFingerprint(input), cohortMounts(input)))
        }
        else if (values.embedded_cohort) {
            SIMULATE(values.cohort_cases, values.cohort_spacing_mm, values.cohort_seed, packageDigest(projectDir, ['cli/simulate.py'], ['cli/__init__.py']))
            source = SIMULATE.out.cohort.map { folder -> tuple(quoted(folder), 'embedded', [folder]) }
        }
        else {
            refuse('No cohort: give --input COHORT (BraTSReg or BIDS folders, or a samplesheet CSV), or -profile test or -profile demo for the embedded one', values.outdir)
        }
        forgetFailures(values.outdir)
        STUDY(source, values, chosen, schema)
        channel.topic('versions').unique().toList().subscribe { versions -> writeRecords(values, versions, wf) }
        workflow.onComplete = { wf.success ? sayDone(wf, values.outdir) : sayFailed(wf, values.outdir) }
    }
}
